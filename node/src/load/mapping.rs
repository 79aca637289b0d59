//! `--map col=feature,…`: names of a file's columns that are not those of the view, and columns to
//! leave out.

use std::str::FromStr;

/// What one column is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The column, or field of a JSON row.
    pub column: String,
    /// The join key or feature; `None` leaves the column out.
    pub target: Option<String>,
}

/// The text is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} maps nothing; write COLUMN=FEATURE, or COLUMN=- to leave the column out")]
pub struct InvalidMapping(String);

impl FromStr for Mapped {
    type Err = InvalidMapping;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('=') {
            Some((column, target)) if !column.is_empty() && !target.is_empty() => Ok(Self {
                column: column.to_owned(),
                target: (target != "-").then(|| target.to_owned()),
            }),
            _ => Err(InvalidMapping(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_mapped_or_left_out() {
        let mapped: Mapped = "LDA 00=lda_00".parse().unwrap();
        assert_eq!(
            (mapped.column.as_str(), mapped.target.as_deref()),
            ("LDA 00", Some("lda_00"))
        );
        let left_out: Mapped = "shares=-".parse().unwrap();
        assert_eq!(left_out.target, None);
        for bad in ["", "a", "=b", "a="] {
            assert!(bad.parse::<Mapped>().is_err(), "{bad:?} was taken");
        }
    }
}
