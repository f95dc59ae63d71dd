//! The text language: `model = gpt-4o and (status = ERROR or latency_ms > 2000) and metadata.plan exists`.
//!
//! ```text
//! filter    = clause { "and" clause }
//! clause    = condition | "(" condition { "or" condition } ")"
//! condition = field operator [ value | "(" value { "," value } ")" | value "and" value ]
//! field     = word | "…" | '…'          in quotes for a key with spaces or signs: "metadata.my key"
//! value     = word | "…" | '…'          a backslash keeps what follows it, in quotes
//! ```
//! Words of the language are read in any case.

use super::condition::{Condition, Operator, Part};
use super::field::Field;
use super::{CONDITIONS_MAX, Filter, FilterError, VALUES_MAX};

/// Bytes of a filter at most: more than the bounds on conditions and values leave room for.
const BYTES_MAX: usize = 4 << 20;
/// Words and signs of a filter at most: as above.
const TOKENS_MAX: usize = CONDITIONS_MAX * (2 * VALUES_MAX + 10);

/// `read` says which field a name is of.
pub(super) fn parse(text: &str, read: fn(&str) -> Result<Field, String>) -> Result<Filter, FilterError> {
    if text.len() > BYTES_MAX {
        return Err(FilterError { at: 0, why: format!("it is longer than {BYTES_MAX} bytes") });
    }
    let mut reader = Reader { tokens: tokens(text)?, next: 0, conditions: 0, read };
    let mut clauses = vec![reader.clause()?];
    while reader.word_is("and") {
        clauses.push(reader.clause()?);
    }
    match reader.peek() {
        (_, Token::End) => Ok(Filter { clauses }),
        (at, Token::Word(word)) if word.eq_ignore_ascii_case("or") => {
            Err(FilterError { at: *at, why: "'or' stands in parentheses: (a or b) and c".into() })
        }
        (at, token) => Err(FilterError { at: *at, why: format!("expected 'and' or the end, found {}", token.shown()) }),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
    Open,
    Close,
    Comma,
    End,
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Word(word) | Self::Quoted(word) => format!("'{}'", word.chars().take(40).collect::<String>()),
            Self::Sign(sign) => format!("'{sign}'"),
            Self::Open => "'('".into(),
            Self::Close => "')'".into(),
            Self::Comma => "','".into(),
            Self::End => "the end".into(),
        }
    }
}

/// Longer ones first.
const SIGNS: [&str; 6] = [">=", "<=", "!=", "=", ">", "<"];

/// Each with the place of its first character.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FilterError> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(&first) = chars.get(at) {
        let begun = at;
        if tokens.len() > TOKENS_MAX {
            return Err(FilterError { at, why: format!("there are more than {TOKENS_MAX} words and signs") });
        }
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        let sign =
            SIGNS.iter().find(|sign| sign.chars().enumerate().all(|(place, c)| chars.get(at + place) == Some(&c)));
        let token = if let Some(sign) = sign {
            at += sign.len();
            Token::Sign(sign)
        } else if first == '"' || first == '\'' {
            let (value, after) = quoted(&chars, at)?;
            at = after;
            Token::Quoted(value)
        } else if let Some(token) =
            [('(', Token::Open), (')', Token::Close), (',', Token::Comma)].into_iter().find(|(c, _)| *c == first)
        {
            at += 1;
            token.1
        } else {
            let length = chars[at..].iter().position(|c| ends_word(*c)).unwrap_or(chars.len() - at);
            if length == 0 {
                return Err(FilterError { at, why: format!("'{first}' is not expected") });
            }
            at += length;
            Token::Word(chars[begun..at].iter().collect())
        };
        tokens.push((begun, token));
    }
    tokens.push((chars.len(), Token::End));
    Ok(tokens)
}

/// Whether a word ends before this.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || "()=<>!,\"'".contains(c)
}

/// A field as it is read back: in quotes when it would end too early.
pub(super) fn field(name: &str) -> String {
    if name.contains(ends_word) { quote(name) } else { name.to_owned() }
}

/// In quotes.
pub(super) fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn quoted(chars: &[char], begun: usize) -> Result<(String, usize), FilterError> {
    let (quote, mut at, mut value) = (chars[begun], begun + 1, String::new());
    loop {
        match chars.get(at) {
            None => return Err(FilterError { at: begun, why: "the quote is not closed".into() }),
            Some('\\') if at + 1 < chars.len() => {
                value.push(chars[at + 1]);
                at += 2;
            }
            Some(c) if *c == quote => return Ok((value, at + 1)),
            Some(c) => {
                value.push(*c);
                at += 1;
            }
        }
    }
}

struct Reader {
    tokens: Vec<(usize, Token)>,
    next: usize,
    conditions: usize,
    read: fn(&str) -> Result<Field, String>,
}

impl Reader {
    fn peek(&self) -> &(usize, Token) {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> (usize, Token) {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    /// Takes this word if it is next.
    fn word_is(&mut self, wanted: &str) -> bool {
        let is_next = matches!(self.peek(), (_, Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(is_next);
        is_next
    }

    fn wanted(&mut self, wanted: &Token, what: &str) -> Result<(), FilterError> {
        match self.take() {
            (_, token) if token == *wanted => Ok(()),
            (at, token) => Err(FilterError { at, why: format!("expected {what}, found {}", token.shown()) }),
        }
    }

    fn clause(&mut self) -> Result<Vec<Condition>, FilterError> {
        if self.peek().1 != Token::Open {
            return Ok(vec![self.condition()?]);
        }
        self.take();
        let mut conditions = vec![self.condition()?];
        while self.word_is("or") {
            conditions.push(self.condition()?);
        }
        self.wanted(&Token::Close, "'or' or ')'")?;
        Ok(conditions)
    }

    fn condition(&mut self) -> Result<Condition, FilterError> {
        self.conditions += 1;
        let (at, token) = self.take();
        if self.conditions > CONDITIONS_MAX {
            return Err(FilterError { at, why: format!("there are more than {CONDITIONS_MAX} conditions") });
        }
        let (Token::Word(name) | Token::Quoted(name)) = token else {
            let hint = if token == Token::Open { "; parentheses do not nest" } else { "" };
            return Err(FilterError { at, why: format!("expected a field, found {}{hint}", token.shown()) });
        };
        let field = (self.read)(&name).map_err(|why| FilterError { at, why })?;
        let (of_operator, operator) = (self.peek().0, self.operator()?);
        let (of_values, values): (Vec<_>, Vec<_>) = self.values(operator)?.into_iter().unzip();
        Condition::new(field, operator, values).map_err(|error| {
            let at = match error.part {
                Part::Operator => of_operator,
                Part::Values => of_values.get(VALUES_MAX).copied().unwrap_or(of_operator),
                Part::Value(place) => of_values.get(place).copied().unwrap_or(of_operator),
            };
            FilterError { at, why: error.why }
        })
    }

    fn operator(&mut self) -> Result<Operator, FilterError> {
        let (at, token) = self.take();
        let unknown = |found: &Token| {
            let known: Vec<_> = Operator::ALL.iter().map(|(_, text, _)| *text).collect();
            FilterError {
                at,
                why: format!("expected an operator, found {}; there are {}", found.shown(), known.join(", ")),
            }
        };
        let written = match &token {
            Token::Sign(sign) => (*sign).to_owned(),
            Token::Word(word) => word.to_lowercase(),
            other => return Err(unknown(other)),
        };
        let written = match written.as_str() {
            "not" if self.word_is("contains") => "not contains",
            "not" if self.word_is("in") => "not in",
            "starts" if self.word_is("with") => "starts with",
            "ends" if self.word_is("with") => "ends with",
            "does" if self.word_is("not") && self.word_is("exist") => "does not exist",
            other => other,
        };
        let found = Operator::ALL.iter().find(|(_, text, _)| *text == written).map(|(operator, ..)| *operator);
        found.ok_or_else(|| unknown(&token))
    }

    /// Each with its place.
    fn values(&mut self, operator: Operator) -> Result<Vec<(usize, String)>, FilterError> {
        match operator {
            Operator::Exists | Operator::Missing => Ok(Vec::new()),
            Operator::In | Operator::NotIn => {
                self.wanted(&Token::Open, "'('")?;
                let mut values = vec![self.value()?];
                while self.peek().1 == Token::Comma {
                    self.take();
                    values.push(self.value()?);
                }
                self.wanted(&Token::Close, "',' or ')'")?;
                Ok(values)
            }
            Operator::Between => {
                let low = self.value()?;
                if !self.word_is("and") {
                    return Err(FilterError { at: self.peek().0, why: "expected 'and': between 1 and 2".into() });
                }
                Ok(vec![low, self.value()?])
            }
            _ => Ok(vec![self.value()?]),
        }
    }

    fn value(&mut self) -> Result<(usize, String), FilterError> {
        match self.take() {
            (at, Token::Word(value) | Token::Quoted(value)) => Ok((at, value)),
            (at, token) => Err(FilterError { at, why: format!("expected a value, found {}", token.shown()) }),
        }
    }
}
