//! Reads a Rust file as tokens and notes what the rules ask about, with lines.
//!
//! Tokens, not syntax trees: so the inside of macros counts too (`proptest!`, `select!`, our own),
//! and comments and strings do not. What it cannot know is what a name refers to; that is clippy's.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// What stands in one file.
#[derive(Debug, Default)]
pub struct Scan {
    pub functions: Vec<Function>,
    /// Names and lines of `todo!`, `unimplemented!` and `dbg!`.
    pub unfinished: Vec<(String, usize)>,
    /// Lines with the keyword `unsafe`.
    pub unsafe_lines: Vec<usize>,
    /// Lines of `#[ignore]`.
    pub ignored: Vec<usize>,
    /// Lints allowed or expected without a reason, with lines.
    pub unexplained: Vec<(String, usize)>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub first_line: usize,
    /// From the line of `fn` to that of the closing brace.
    pub lines: usize,
    pub role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Product,
    /// Within `#[cfg(test)]`, or within a test.
    TestHelper,
    Test,
}

/// Scans a file. The error says where the text stops being Rust.
pub fn scan(text: &str) -> Result<Scan, (usize, String)> {
    let tokens: TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| (error.span().start().line, error.to_string()))?;
    let mut scan = Scan::default();
    scan.walk(tokens, Role::Product);
    Ok(scan)
}

/// What was seen of the item being read, forgotten at its end.
#[derive(Default)]
struct Item {
    attribute: Option<Role>,
    function: Option<(String, usize)>,
}

impl Scan {
    fn walk(&mut self, stream: TokenStream, around: Role) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut around = around;
        let mut item = Item::default();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(ident) => self.ident(ident, &tokens[at + 1..], &mut item),
                TokenTree::Punct(punct) if punct.as_char() == ';' => item = Item::default(),
                TokenTree::Group(group) => match attribute_place(&tokens[..at]) {
                    Some(Place::Outer) => {
                        item.attribute = self.attribute(group).or(item.attribute);
                        self.walk(group.stream(), around);
                    }
                    Some(Place::Inner) => {
                        around = self.attribute(group).map_or(around, |_| Role::TestHelper);
                        self.walk(group.stream(), around);
                    }
                    None => self.group(group, around, &mut item),
                },
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn ident(&mut self, ident: &Ident, after: &[TokenTree], item: &mut Item) {
        let line = ident.span().start().line;
        let name = ident.to_string();
        match (name.as_str(), after) {
            ("unsafe", _) => self.unsafe_lines.push(line),
            // A function pointer, `fn(u8)`, has no name; `fn $name` in a macro has none yet.
            ("fn", [TokenTree::Ident(name), ..]) => item.function = Some((name.to_string(), line)),
            (
                "todo" | "unimplemented" | "dbg",
                [TokenTree::Punct(bang), TokenTree::Group(_), ..],
            ) if bang.as_char() == '!' => {
                self.unfinished.push((name, line));
            }
            _ => {}
        }
    }

    /// A brace group ends the item that led to it; other groups belong to its head.
    fn group(&mut self, group: &Group, around: Role, item: &mut Item) {
        if group.delimiter() != Delimiter::Brace {
            self.walk(group.stream(), around);
            return;
        }
        let Item {
            attribute,
            function,
        } = std::mem::take(item);
        let within = match (around, attribute) {
            (Role::Product, None) => Role::Product,
            (Role::Product | Role::TestHelper | Role::Test, Some(role)) => role,
            (Role::TestHelper | Role::Test, None) => Role::TestHelper,
        };
        if let Some((name, first_line)) = function {
            let lines = group.span_close().end().line + 1 - first_line;
            self.functions.push(Function {
                name,
                first_line,
                lines,
                role: within,
            });
        }
        self.walk(group.stream(), within);
    }

    /// Notes what the attribute says; the role when it makes its item a test or part of the tests.
    fn attribute(&mut self, group: &Group) -> Option<Role> {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let line = group.span_open().start().line;
        let path: Vec<String> = tokens
            .iter()
            .take_while(|token| !is_punct(token, '=') && !matches!(token, TokenTree::Group(_)))
            .filter(|token| matches!(token, TokenTree::Ident(_)))
            .map(TokenTree::to_string)
            .collect();
        let arguments = tokens.iter().find_map(|token| match token {
            TokenTree::Group(group) => Some(group.stream()),
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
        });
        let arguments = arguments.unwrap_or_default();
        match path.last().map(String::as_str)? {
            "test" => return Some(Role::Test),
            "cfg" if asks_for_test(&arguments) => return Some(Role::TestHelper),
            "ignore" => self.ignored.push(line),
            "allow" | "expect" => self.exception(&arguments, line),
            _ => {}
        }
        None
    }

    /// An attribute such as `allow(clippy::one, two, reason = "…")`.
    fn exception(&mut self, arguments: &TokenStream, line: usize) {
        let text = arguments.to_string();
        let lints = text.split(',').map(|part| part.replace(' ', ""));
        let (reasons, lints): (Vec<String>, Vec<String>) =
            lints.partition(|part| part.starts_with("reason="));
        if reasons.is_empty() {
            self.unexplained
                .extend(lints.into_iter().map(|lint| (lint, line)));
        }
    }
}

enum Place {
    Outer,
    Inner,
}

/// Whether the group that follows these tokens is an attribute's: `#[…]` or `#![…]`.
fn attribute_place(before: &[TokenTree]) -> Option<Place> {
    match before {
        [.., last] if is_punct(last, '#') => Some(Place::Outer),
        [.., hash, bang] if is_punct(hash, '#') && is_punct(bang, '!') => Some(Place::Inner),
        _ => None,
    }
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// Whether the condition of a `cfg` asks for `test`, other than by `not(test)`.
fn asks_for_test(condition: &TokenStream) -> bool {
    let mut negated = false;
    for token in condition.clone() {
        match token {
            TokenTree::Ident(ident) if ident == "test" => return true,
            TokenTree::Ident(ident) => negated = ident == "not",
            TokenTree::Group(group) if !negated && asks_for_test(&group.stream()) => return true,
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_functions(text: &str, expected: &[(&str, usize, usize, Role)]) {
        let found = scan(text).unwrap().functions;
        let found: Vec<_> = found
            .iter()
            .map(|function| {
                (
                    &*function.name,
                    function.first_line,
                    function.lines,
                    function.role,
                )
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn functions_are_measured_from_fn_to_closing_brace() {
        check_functions(
            "/// doc\n#[inline]\npub fn one<A, B>(a: A,\n b: [B; 2]) -> u8\nwhere A: Copy {\n  1\n}\n",
            &[("one", 3, 5, Role::Product)],
        );
        check_functions(
            "trait T { fn declared(&self); fn given(&self) {} }",
            &[("given", 1, 1, Role::Product)],
        );
        check_functions("type F = fn(u8) -> u8; struct S {}", &[]);
    }

    #[test]
    fn functions_in_macros_and_functions_are_seen() {
        check_functions(
            "proptest! {\n#[test]\nfn laws(a in 0..9) {\n}\n}",
            &[("laws", 3, 2, Role::Test)],
        );
        check_functions(
            "fn outer() { fn inner() {} }",
            &[
                ("outer", 1, 1, Role::Product),
                ("inner", 1, 1, Role::Product),
            ],
        );
    }

    #[test]
    fn tests_and_what_serves_them_are_told_from_the_product() {
        check_functions(
            "#[cfg(test)] mod tests { fn help() {} #[tokio::test] async fn case() {} }",
            &[("help", 1, 1, Role::TestHelper), ("case", 1, 1, Role::Test)],
        );
        check_functions(
            "#[cfg(test)] use a::{b, c}; fn one() {}",
            &[("one", 1, 1, Role::Product)],
        );
        check_functions(
            "#[cfg(not(test))] fn one() {}",
            &[("one", 1, 1, Role::Product)],
        );
        check_functions(
            "#[cfg(all(test, unix))] fn one() {}",
            &[("one", 1, 1, Role::TestHelper)],
        );
        check_functions(
            "#![cfg(test)] fn one() {}",
            &[("one", 1, 1, Role::TestHelper)],
        );
    }

    #[test]
    fn unfinished_macros_are_seen_but_not_their_names() {
        let text = "fn a() { todo!() }\nfn b() { x!(dbg!(1)); unimplemented![] }\n\
                    fn c(todo: u8) -> bool { todo != 1 } // todo!()\nconst D: &str = \"todo!()\";\n";
        let names = [("todo", 1), ("dbg", 2), ("unimplemented", 2)];
        let names: Vec<_> = names.map(|(name, line)| (name.to_owned(), line)).into();
        assert_eq!(scan(text).unwrap().unfinished, names);
    }

    #[test]
    fn the_keyword_unsafe_is_seen_but_not_the_lint() {
        let text = "#![deny(unsafe_code)]\nfn a() { m!(unsafe { b() }) } // unsafe\n#[unsafe(no_mangle)]\nfn c() {}\n";
        assert_eq!(scan(text).unwrap().unsafe_lines, [2, 3]);
    }

    #[test]
    fn ignored_tests_are_seen() {
        let text = "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n#[ignore]\nfn b() {}\n#[cfg_attr(x, y)] fn c() {}";
        assert_eq!(scan(text).unwrap().ignored, [2, 4]);
    }

    #[test]
    fn exceptions_without_a_reason_are_seen() {
        let text = "#![allow(clippy::a, b)]\n#[expect(c, reason = \"because\")]\nfn d() {}\n";
        let lints = [("clippy::a".to_owned(), 1), ("b".to_owned(), 1)];
        assert_eq!(scan(text).unwrap().unexplained, lints);
    }

    #[test]
    fn a_text_that_is_no_rust_says_where() {
        let (line, _) = scan("fn a() {\n\n").unwrap_err();
        assert!(line >= 1);
    }
}
