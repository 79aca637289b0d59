//! Messages and states read back, and nothing torn or broken passes for one.

use super::harness::{Bench, configuration, entries, fence, id, mark, member, round};
use crate::mutations;
use bytes::Bytes;
use proto::{
    hlc::Hlc,
    id::{BootId, Incarnation, Position},
};
use replication::{
    Base, Message, Micros,
    codec::{decode_base, decode_message, encode_base, encode_message},
    message::{Ack, Append, Body, Echo, Mismatch},
};

fn messages() -> Vec<Message> {
    let mut by_boot = member(2);
    by_boot.boot = Some(BootId(9));
    let bodies = [
        Body::Append(Append {
            member: by_boot,
            session: 3,
            previous: mark(1, 7),
            entries: entries(3),
            committed: Position(5),
            closed_through: 8,
        }),
        Body::Close {
            member: member(1),
            session: 1,
            round: round(4, 9, Hlc(77)),
            echo: Some(Echo {
                boot: BootId(5),
                instant: Micros(123),
            }),
        },
        Body::Close {
            member: member(1),
            session: 1,
            round: round(4, 9, Hlc(77)),
            echo: None,
        },
        Body::Ack(Ack {
            member: by_boot,
            boot: BootId(4),
            session: 2,
            durable: Position(6),
            promised: 7,
            clock: Micros(8),
        }),
        Body::Mismatch(Mismatch {
            member: member(3),
            boot: BootId(4),
            session: 2,
            resume: Position(6),
        }),
        Body::Configuration(configuration(4, 2, &[1, 2])),
        Body::Behind,
    ];
    let fence = fence(4);
    bodies.map(|body| Message { fence, body }).into()
}

#[test]
fn messages_read_back_and_torn_ones_do_not() {
    for message in messages() {
        let bytes = Bytes::from(encode_message(&message));
        assert_eq!(decode_message(&bytes), Ok(message));
        for end in 0..bytes.len() {
            assert!(decode_message(&bytes.slice(..end)).is_err(), "at {end}");
        }
    }
}

#[test]
fn no_byte_of_an_entry_on_its_way_may_change() {
    let bytes = encode_message(&messages()[0]);
    let first = bytes.len()
        - entries(3)
            .iter()
            .map(|e| e.bytes().len() + 4)
            .sum::<usize>();
    for at in first..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x10;
        assert!(decode_message(&Bytes::from(broken)).is_err(), "at {at}");
    }
}

#[test]
fn a_newer_version_is_refused() {
    let mut bytes = encode_message(&messages()[6]);
    bytes[0] = 2;
    assert!(decode_message(&Bytes::from(bytes)).is_err());
}

#[test]
fn a_shards_state_reads_back_with_its_requests_and_lineage() {
    let mut bench = Bench::with_tail(entries(2));
    bench.configure(configuration(2, 1, &[1]));
    bench.write(2, id(1), 2, 1);
    bench.write(2, id(2), 0, 1);
    bench.synced();
    let mut next = configuration(3, 1, &[1]);
    next.fence.incarnation = Incarnation(2);
    bench.configure(next);
    bench.synced();
    let base = Base {
        serves_from: Position(99),
        ..bench.replica.base().clone()
    };
    assert_eq!(base.requests.len(), 2);
    let bytes = encode_base(&base);
    assert_eq!(decode_base(&bytes), Ok(base));
    for end in 0..bytes.len() {
        assert!(decode_base(&bytes[..end]).is_err(), "at {end}");
    }
}

#[test]
fn a_shards_state_of_an_earlier_release_is_read() {
    let base = Base {
        serves_from: Position(3),
        ..Base::default()
    };
    let mut bytes = encode_base(&base);
    assert_eq!(bytes[0], 2);
    bytes[0] = 1;
    assert_eq!(
        decode_base(&bytes),
        Ok(base),
        "without requests they are alike"
    );
    bytes[0] = 3;
    assert!(decode_base(&bytes).is_err());
}

#[test]
fn damaged_messages_and_states_are_refused_or_read_as_what_they_say() {
    let kept: Vec<Vec<u8>> = messages().iter().map(encode_message).collect();
    let kept: Vec<&[u8]> = kept.iter().map(Vec::as_slice).collect();
    mutations::check(20_000, &kept, |damaged| {
        if let Ok(message) = decode_message(&Bytes::copy_from_slice(damaged)) {
            let again = encode_message(&message);
            assert_eq!(decode_message(&Bytes::from(again)), Ok(message));
        }
    });
    let mut bench = Bench::with_tail(entries(2));
    bench.configure(configuration(2, 1, &[1]));
    bench.write(2, id(1), 2, 1);
    bench.synced();
    let base = encode_base(bench.replica.base());
    mutations::check(20_000, &[&base], |damaged| {
        if let Ok(base) = decode_base(damaged) {
            assert_eq!(decode_base(&encode_base(&base)), Ok(base));
        }
    });
}
