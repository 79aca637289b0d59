//! SPDX licence expressions, as far as crates use them: `AND`, `OR`, `WITH`, parentheses, and the
//! older `/` for `OR`.
//!
//! It judges an expression against what is allowed and keeps no tree. Names are compared as written:
//! whether an id exists is answered by its being on a list.

/// Whether one can choose so that every licence that binds is allowed. The error says what is wrong
/// with the expression.
pub fn allows(expression: &str, is_allowed: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut judge = Judge {
        rest: &words,
        is_allowed,
    };
    let allowed = judge.alternatives()?;
    match judge.rest {
        [] => Ok(allowed),
        [word, ..] => Err(format!("`{word}` is out of place")),
    }
}

struct Judge<'a> {
    rest: &'a [&'a str],
    is_allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Judge<'a> {
    fn alternatives(&mut self) -> Result<bool, String> {
        let mut allowed = self.conjunction()?;
        while self.take("OR") {
            allowed |= self.conjunction()?;
        }
        Ok(allowed)
    }

    fn conjunction(&mut self) -> Result<bool, String> {
        let mut allowed = self.licence()?;
        while self.take("AND") {
            allowed &= self.licence()?;
        }
        Ok(allowed)
    }

    fn licence(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let allowed = self.alternatives()?;
            return if self.take(")") {
                Ok(allowed)
            } else {
                Err("`)` is missing".to_owned())
            };
        }
        let name = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Ok((self.is_allowed)(&format!("{name} WITH {exception}")));
        }
        Ok((self.is_allowed)(name))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        match self.rest {
            [] => Err("the expression ends where a licence is expected".to_owned()),
            [word @ ("AND" | "OR" | "WITH" | "(" | ")"), ..] => {
                Err(format!("`{word}` stands where a licence is expected"))
            }
            [name, rest @ ..] => {
                self.rest = rest;
                Ok(name)
            }
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let taken = self.rest.first() == Some(&word);
        if taken {
            self.rest = &self.rest[1..];
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: Result<bool, &str>) {
        let is_allowed = |name: &str| matches!(name, "MIT" | "ISC" | "A WITH E");
        let found = allows(expression, &is_allowed);
        match (&found, expected) {
            (Err(said), Err(part)) => assert!(said.contains(part), "{said}"),
            _ => assert_eq!(found, expected.map_err(str::to_owned), "{expression}"),
        }
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        check("MIT", Ok(true));
        check("GPL-3.0", Ok(false));
        check("GPL-3.0 OR MIT", Ok(true));
        check("GPL-3.0/MIT", Ok(true));
        check("GPL-3.0 / LGPL-3.0", Ok(false));
    }

    #[test]
    fn all_that_bind_must_be_allowed() {
        check("MIT AND ISC", Ok(true));
        check("MIT AND GPL-3.0", Ok(false));
        check("GPL-3.0 AND MIT OR ISC", Ok(true));
        check("ISC OR GPL-3.0 AND MIT", Ok(true));
        check("GPL-3.0 AND (MIT OR ISC)", Ok(false));
        check("(GPL-3.0 OR MIT) AND ISC", Ok(true));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        check("A WITH E", Ok(true));
        check("A", Ok(false));
        check("MIT WITH E", Ok(false));
        check("A WITH E AND GPL-3.0", Ok(false));
    }

    #[test]
    fn broken_expressions_say_what_is_wrong() {
        check("", Err("ends where a licence is expected"));
        check("MIT OR", Err("ends where a licence is expected"));
        check("MIT AND OR ISC", Err("`OR` stands where"));
        check("(MIT", Err("`)` is missing"));
        check("MIT ISC", Err("`ISC` is out of place"));
        check("MIT)", Err("`)` is out of place"));
    }
}
