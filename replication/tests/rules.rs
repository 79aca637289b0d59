//! Each rule of replication alone: one replica, told what to think of the others.

#[path = "../../proto/tests/mutations/mod.rs"]
mod mutations;

mod rules {
    pub mod harness;

    mod closes;
    mod codec;
    mod following;
    mod joining;
    mod membership;
    mod memory;
    mod primary;
    mod writes;
}
