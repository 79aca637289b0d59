//! What travels between nodes for a scan.

use bytes::{BufMut, Bytes, BytesMut};
use proto::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{Incarnation, PlacementId, Position, RegionId, Revision, Sequence, ShardId, ViewId},
    token::Reached,
};

const VERSION: u8 = 1;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// For a session.
    Open {
        /// The view.
        view: ViewId,
        /// The shard.
        shard: ShardId,
    },
    /// For a session that gives deletions too: who asks merges the rows with its own.
    OpenCopy {
        /// The view.
        view: ViewId,
        /// The shard.
        shard: ShardId,
    },
    /// How far each region's streams are in a shard, and of what revision the definitions are.
    Marks {
        /// The shard.
        shard: ShardId,
    },
    /// For its next page.
    Next {
        /// The session.
        session: u64,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A session was opened.
    Opened {
        /// Its number.
        session: u64,
        /// The position that its rows show.
        applied: Position,
    },
    /// Records end to end.
    Page(Bytes),
    /// See [`Asked::Marks`].
    Marks(Marks),
    /// There are no more; the session is gone.
    End,
    /// None can be given, and why; the session is gone.
    Refused(String),
}

/// How far the streams in a shard are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// The revision of the definitions there: rows of older ones are all that the marks cover.
    pub revision: Revision,
    /// The position of the shard's log there: all own entries at or below are covered.
    pub applied: Position,
    /// The streams.
    pub streams: Vec<Mark>,
}

/// How far one stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose it is.
    pub origin: RegionId,
    /// Its placement.
    pub placement: PlacementId,
    /// Its last entry.
    pub reached: Reached,
    /// The largest stamp in it.
    pub hlc: Hlc,
    /// The extras of its last *start*.
    pub start: Bytes,
}

/// Encodes a request.
pub fn encode_asked(asked: &Asked) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    match asked {
        Asked::Open { view, shard } => {
            out.put_u8(1);
            out.put_u32_le(view.0);
            out.put_u16_le(shard.0);
        }
        Asked::OpenCopy { view, shard } => {
            out.put_u8(3);
            out.put_u32_le(view.0);
            out.put_u16_le(shard.0);
        }
        Asked::Marks { shard } => {
            out.put_u8(4);
            out.put_u16_le(shard.0);
        }
        Asked::Next { session } => {
            out.put_u8(2);
            out.put_u64_le(*session);
        }
    }
    out.freeze()
}

/// Decodes a request.
pub fn decode_asked(bytes: &[u8]) -> Result<Asked, Malformed> {
    let mut reader = Reader::new(bytes, "scan request");
    check_version(&mut reader)?;
    let asked = match reader.u8()? {
        1 => Asked::Open {
            view: ViewId(reader.u32()?),
            shard: ShardId(reader.u16()?),
        },
        2 => Asked::Next {
            session: reader.u64()?,
        },
        3 => Asked::OpenCopy {
            view: ViewId(reader.u32()?),
            shard: ShardId(reader.u16()?),
        },
        4 => Asked::Marks {
            shard: ShardId(reader.u16()?),
        },
        _ => return Err(reader.malformed("its kind is not known here")),
    };
    reader.finish()?;
    Ok(asked)
}

/// Encodes an answer.
pub fn encode_answer(answer: &Answer) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(VERSION);
    match answer {
        Answer::Opened { session, applied } => {
            out.put_u8(1);
            out.put_u64_le(*session);
            out.put_u64_le(applied.0);
        }
        Answer::Page(records) => {
            out.put_u8(2);
            out.extend_from_slice(records);
        }
        Answer::Marks(marks) => {
            out.put_u8(5);
            put_marks(&mut out, marks);
        }
        Answer::End => out.put_u8(3),
        Answer::Refused(why) => {
            out.put_u8(4);
            out.extend_from_slice(why.as_bytes());
        }
    }
    out.freeze()
}

/// Decodes an answer.
pub fn decode_answer(bytes: &Bytes) -> Result<Answer, Malformed> {
    let mut reader = Reader::new(bytes, "scan answer");
    check_version(&mut reader)?;
    match reader.u8()? {
        1 => {
            let (session, applied) = (reader.u64()?, Position(reader.u64()?));
            reader.finish()?;
            Ok(Answer::Opened { session, applied })
        }
        2 => Ok(Answer::Page(bytes.slice(2..))),
        3 => {
            reader.finish()?;
            Ok(Answer::End)
        }
        5 => {
            let marks = marks(&mut reader)?;
            reader.finish()?;
            Ok(Answer::Marks(marks))
        }
        4 => Ok(Answer::Refused(
            String::from_utf8_lossy(reader.rest()).into_owned(),
        )),
        _ => Err(reader.malformed("its kind is not known here")),
    }
}

fn put_marks(out: &mut BytesMut, marks: &Marks) {
    out.put_u64_le(marks.revision.0);
    out.put_u64_le(marks.applied.0);
    out.put_u32_le(marks.streams.len() as u32);
    for mark in &marks.streams {
        out.put_u16_le(mark.origin.0);
        out.put_u16_le(mark.placement.0);
        out.put_u32_le(mark.reached.incarnation.0);
        out.put_u64_le(mark.reached.sequence.0);
        out.put_u64_le(mark.hlc.0);
        out.put_u32_le(mark.start.len() as u32);
        out.extend_from_slice(&mark.start);
    }
}

fn marks(reader: &mut Reader<'_>) -> Result<Marks, Malformed> {
    let (revision, applied) = (Revision(reader.u64()?), Position(reader.u64()?));
    let count = reader.u32()?;
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(Mark {
            origin: RegionId(reader.u16()?),
            placement: PlacementId(reader.u16()?),
            reached: Reached {
                incarnation: Incarnation(reader.u32()?),
                sequence: Sequence(reader.u64()?),
            },
            hlc: Hlc(reader.u64()?),
            start: {
                let length = reader.u32()? as usize;
                Bytes::copy_from_slice(reader.take(length)?)
            },
        });
    }
    Ok(Marks {
        revision,
        applied,
        streams,
    })
}

fn check_version(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    if reader.u8()? == VERSION {
        Ok(())
    } else {
        Err(reader.malformed("its version is not known here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutations;

    #[test]
    fn what_is_asked_and_answered_reads_back_and_what_is_cut_does_not() {
        let open = Asked::Open {
            view: ViewId(7),
            shard: ShardId(900),
        };
        let copy = Asked::OpenCopy {
            view: ViewId(7),
            shard: ShardId(900),
        };
        let marks = Asked::Marks { shard: ShardId(9) };
        for asked in [open, copy, marks, Asked::Next { session: u64::MAX }] {
            let bytes = encode_asked(&asked);
            assert_eq!(decode_asked(&bytes), Ok(asked));
            for length in 0..bytes.len() {
                assert!(decode_asked(&bytes[..length]).is_err(), "{length}");
            }
        }
        let opened = Answer::Opened {
            session: 3,
            applied: Position(9),
        };
        let page = Answer::Page(Bytes::from_static(b"records"));
        for answer in [opened, page, Answer::End, Answer::Refused("why".into())] {
            assert_eq!(decode_answer(&encode_answer(&answer)), Ok(answer));
        }
        let kept = [encode_asked(&open), Bytes::from_static(&[1; 13])];
        let kept: Vec<&[u8]> = kept.iter().map(AsRef::as_ref).collect();
        mutations::check(10_000, &kept, |damaged| {
            let _ = decode_asked(damaged);
            drop(decode_answer(&Bytes::copy_from_slice(damaged)));
        });
        assert!(decode_answer(&Bytes::from_static(&[1])).is_err());
        assert!(decode_answer(&Bytes::from_static(&[2, 3])).is_err());
        assert!(decode_answer(&Bytes::from_static(&[1, 9])).is_err());
    }
}
