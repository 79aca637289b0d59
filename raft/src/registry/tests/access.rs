//! Tokens in the registry: what is refused, what is used once, what comes back from the parts.

use super::{command, founding};
use crate::{
    machine::{Command as _, StateMachine as _},
    registry::{
        Registry, RegistryCommand, RegistryOutcome, Request,
        access::{Gives, Grant, JoinedNode, Role, Security, Token, TokenHash},
    },
};
use proto::id::{NodeId, TokenId};

const NOW: u64 = 1_700_000_000_000;

fn token(id: u64, gives: Gives) -> Token {
    Token {
        id: TokenId(id),
        hash: TokenHash([id as u8; 32]),
        name: format!("token {id}"),
        gives,
        expires_at_millis: None,
        created_at_millis: NOW,
        created_by: "a person".into(),
    }
}

fn gives(role: Role) -> Gives {
    Gives::Access(vec![Grant {
        role,
        project: None,
    }])
}

fn secured() -> Registry {
    let mut founding = founding();
    if let Request::Found { security, .. } = &mut founding.request {
        *security = Some(Security {
            authority: "PEM".into(),
            administrator: token(1, gives(Role::Admin)),
        });
    }
    let mut registry = Registry::default();
    registry.apply(RegistryCommand::decode(&founding.encode()).unwrap());
    registry
}

#[track_caller]
fn refused(registry: &mut Registry, request: Request) -> String {
    let before = registry.clone();
    match registry.apply(command(request)) {
        RegistryOutcome::Refused { refusals, .. } => {
            assert_eq!(*registry, before);
            refusals[0].message.clone()
        }
        done => panic!("{done:?}"),
    }
}

#[track_caller]
fn done(registry: &mut Registry, request: Request) {
    let outcome = registry.apply(command(request));
    assert!(
        matches!(outcome, RegistryOutcome::Done { .. }),
        "{outcome:?}"
    );
}

fn create(token: Token) -> Request {
    Request::CreateToken { token }
}

fn join(id: u64, node: u64, key: &str) -> Request {
    Request::UseJoinToken {
        id: TokenId(id),
        by: JoinedNode {
            node: NodeId(node),
            public_key: key.into(),
        },
    }
}

#[test]
fn an_open_cluster_has_no_tokens() {
    let mut registry = Registry::default();
    registry.apply(founding());
    let why = refused(&mut registry, create(token(2, gives(Role::Reader))));
    assert!(why.contains("cluster.secure = true"), "{why}");
}

#[test]
fn a_join_token_is_used_by_one_node_and_in_time() {
    let mut registry = secured();
    done(
        &mut registry,
        create(token(2, Gives::Join { used_by: None })),
    );
    done(&mut registry, join(2, 7, "aa"));
    // Who did not get the answer asks again, with the same key.
    done(&mut registry, join(2, 7, "aa"));
    for (node, key) in [(8, "aa"), (7, "bb")] {
        let why = refused(&mut registry, join(2, node, key));
        assert!(
            why.contains("was used by node 0000000000000007 already"),
            "{why}"
        );
    }
    // Nor does a second token make a node of another key out of it.
    done(
        &mut registry,
        create(token(4, Gives::Join { used_by: None })),
    );
    let why = refused(&mut registry, join(4, 7, "bb"));
    assert!(why.contains("has joined with another key"), "{why}");
    done(&mut registry, join(4, 7, "aa"));
    // In time, too: a file with a token that was used does not let its node in for ever.
    let mut short = token(5, Gives::Join { used_by: None });
    short.expires_at_millis = Some(NOW + 1);
    done(&mut registry, create(short));
    done(&mut registry, join(5, 9, "dd"));
    let again = RegistryCommand {
        at_millis: NOW + 1,
        ..command(join(5, 9, "dd"))
    };
    let outcome = registry.apply(again);
    assert!(
        matches!(outcome, RegistryOutcome::Refused { .. }),
        "{outcome:?}"
    );
    let mut late = token(3, Gives::Join { used_by: None });
    late.expires_at_millis = Some(NOW);
    done(&mut registry, create(late));
    assert!(refused(&mut registry, join(3, 8, "cc")).contains("has expired"));
    let why = refused(&mut registry, join(1, 8, "cc"));
    assert!(why.contains("is not for joining"), "{why}");
}

#[test]
fn the_last_administrator_of_the_cluster_stays() {
    let mut registry = secured();
    let revoke = |id| Request::RevokeToken { id: TokenId(id) };
    let mut passing = token(2, gives(Role::Admin));
    passing.expires_at_millis = Some(NOW + 1);
    done(&mut registry, create(passing));
    assert!(refused(&mut registry, revoke(1)).contains("last token that administers"));
    done(&mut registry, create(token(3, gives(Role::Admin))));
    done(&mut registry, revoke(1));
    assert!(refused(&mut registry, revoke(1)).contains("there is no token"));
}

#[test]
fn tokens_come_back_from_the_parts_and_go_from_them() {
    let mut registry = secured();
    done(&mut registry, create(token(2, gives(Role::Writer))));
    assert_eq!(Registry::from_parts(&registry.parts()).unwrap(), registry);
    let before = registry.clone();
    let revoke = Request::RevokeToken { id: TokenId(2) };
    done(&mut registry, revoke);
    let gone = before.changes_to(&registry);
    assert!(
        gone.iter()
            .any(|(key, value)| key.starts_with("token/") && value.is_none())
    );
}

#[test]
fn roles_and_sizes_are_limited() {
    let mut registry = secured();
    let why = refused(&mut registry, create(token(2, Gives::Access(Vec::new()))));
    assert!(why.contains("1 to 64 roles"), "{why}");
    let mut named = token(2, gives(Role::Reader));
    named.name = "a\nb".into();
    assert!(refused(&mut registry, create(named)).contains("in one line"));
    let why = refused(&mut registry, create(token(1, gives(Role::Reader))));
    assert!(why.contains("already"), "{why}");
}
