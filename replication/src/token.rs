//! Whether a stream, as far as it is applied here, covers what a token asks for.

use crate::streams::Head;
use proto::id::{Incarnation, Sequence};

/// What a token says of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The incarnation in which it was written.
    pub incarnation: Incarnation,
    /// The sequence that must be applied.
    pub sequence: Sequence,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// It is applied here.
    Covered,
    /// It may still come: wait, or ask another replica or the origin.
    NotYet,
    /// A later incarnation was cut before it: it is gone for good.
    Lost,
}

/// Judges `asked` by the stream's head at the commit point, which is None where nothing of it came.
#[must_use]
pub fn coverage(applied: Option<&Head>, asked: Asked) -> Coverage {
    let Some(head) = applied else {
        return Coverage::NotYet;
    };
    if asked.incarnation > head.incarnation {
        return Coverage::NotYet;
    }
    if asked.incarnation == head.incarnation {
        return if head.sequence >= asked.sequence {
            Coverage::Covered
        } else {
            Coverage::NotYet
        };
    }
    // Sequences begin anew in each incarnation, so the cut of the token's own one decides. One that
    // the lineage does not name was never built on.
    let own = head
        .lineage
        .iter()
        .find(|cut| cut.incarnation == asked.incarnation);
    match own {
        Some(cut) if cut.kept >= asked.sequence => Coverage::Covered,
        Some(_) | None => Coverage::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::{Cut, decode_lineage, encode_lineage};

    fn head() -> Head {
        let cut = |incarnation, kept| Cut {
            incarnation: Incarnation(incarnation),
            kept: Sequence(kept),
        };
        Head {
            incarnation: Incarnation(4),
            sequence: Sequence(7),
            lineage: vec![cut(1, 100), cut(2, 50)],
        }
    }

    #[test]
    fn a_token_is_covered_by_sequence_within_its_incarnation_and_by_the_cut_after_it() {
        let cases = [
            (4, 7, Coverage::Covered),
            (4, 8, Coverage::NotYet),
            (5, 1, Coverage::NotYet),
            (2, 50, Coverage::Covered),
            (2, 51, Coverage::Lost),
            (1, 100, Coverage::Covered),
            (3, 1, Coverage::Lost),
        ];
        for (incarnation, sequence, expected) in cases {
            let asked = Asked {
                incarnation: Incarnation(incarnation),
                sequence: Sequence(sequence),
            };
            assert_eq!(coverage(Some(&head()), asked), expected, "{asked:?}");
            assert_eq!(coverage(None, asked), Coverage::NotYet);
        }
    }

    #[test]
    fn a_lineage_reads_back_and_a_torn_one_does_not() {
        let bytes = encode_lineage(&head().lineage);
        assert_eq!(decode_lineage(&bytes), Ok(head().lineage));
        for end in 0..bytes.len() {
            assert!(decode_lineage(&bytes[..end]).is_err());
        }
    }
}
