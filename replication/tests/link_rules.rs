//! Each rule of links alone: one link, one outbox, told what arrives.

mod link_rules {
    pub mod harness;

    mod echoes;
    mod outbox;
    mod rebirth;
    mod receiver;
    mod trouble;
}
