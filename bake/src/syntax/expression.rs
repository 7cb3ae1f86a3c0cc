//! Expressions of HCL.

use std::rc::Rc;

use super::cursor::Cursor;
use super::{Expression, For, Kind, MAX_CHAIN, Operator, template};
use crate::Result;

/// Operators by how tightly they bind, the loosest first; of each the longest first.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Modulo)],
];

/// An expression that is all of a text.
pub(super) fn whole(file: &Rc<str>, text: &str) -> Result<Expression> {
    let mut cursor = Cursor::new(file.clone(), text, 1, 0);
    let expression = cursor.across_lines(true, read)?;
    cursor.skip_lines()?;
    match cursor.rest().is_empty() {
        true => Ok(expression),
        false => cursor.error("there is something behind the expression"),
    }
}

/// Reads an expression.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Expression> {
    let spans_lines = cursor.spans_lines;
    cursor.across_lines(spans_lines, |cursor| {
        let condition = binary(cursor, 0)?;
        cursor.skip()?;
        if cursor.peek() != Some('?') {
            return Ok(condition);
        }
        cursor.take("?");
        let then = read(cursor)?;
        cursor.expect(":")?;
        let otherwise = read(cursor)?;
        let line = condition.line;
        let kind = Kind::Conditional(Box::new(condition), Box::new(then), Box::new(otherwise));
        Ok(cursor.node(kind, line))
    })
}

fn binary(cursor: &mut Cursor<'_>, level: usize) -> Result<Expression> {
    let Some(operators) = LEVELS.get(level) else { return unary(cursor) };
    let mut left = binary(cursor, level + 1)?;
    for _ in 0..MAX_CHAIN {
        cursor.skip()?;
        let rest = cursor.rest();
        // `=>` ends a key, and `%{` and `~}` belong to templates.
        let is = |(sign, _): &&(&str, Operator)| rest.starts_with(sign) && !rest.starts_with("=>");
        let Some((sign, operator)) = operators.iter().find(is) else { return Ok(left) };
        cursor.take(sign);
        let right = binary(cursor, level + 1)?;
        let line = left.line;
        left = cursor.node(Kind::Binary(*operator, Box::new(left), Box::new(right)), line);
    }
    cursor.error("too many operators follow each other")
}

fn unary(cursor: &mut Cursor<'_>) -> Result<Expression> {
    cursor.skip()?;
    let line = cursor.line();
    let spans_lines = cursor.spans_lines;
    match cursor.peek() {
        Some('!') if !cursor.rest().starts_with("!=") => {
            cursor.take("!");
            let inner = cursor.across_lines(spans_lines, unary)?;
            Ok(cursor.node(Kind::Not(Box::new(inner)), line))
        }
        Some('-') => {
            cursor.take("-");
            let inner = cursor.across_lines(spans_lines, unary)?;
            Ok(cursor.node(Kind::Negative(Box::new(inner)), line))
        }
        _ => {
            let term = term(cursor)?;
            traversal(cursor, term)
        }
    }
}

/// What follows a term: `.name`, `.0`, `[index]`, `[*]`, `.*`.
fn traversal(cursor: &mut Cursor<'_>, mut term: Expression) -> Result<Expression> {
    for _ in 0..MAX_CHAIN {
        let line = cursor.line();
        if cursor.take("[*]") {
            let element = cursor.node(Kind::Element, line);
            let each = traversal(cursor, element)?;
            return Ok(cursor.node(Kind::Splat(Box::new(term), Box::new(each)), line));
        }
        if cursor.take(".*") {
            let mut each = cursor.node(Kind::Element, line);
            // Only names belong to it: an index is one of the whole list.
            let mut count = 0;
            while cursor.rest().starts_with('.') && !cursor.rest().starts_with(".*") {
                count += 1;
                if count > MAX_CHAIN {
                    return cursor.error("too many names follow each other");
                }
                cursor.take(".");
                let Some(name) = cursor.identifier() else {
                    return cursor.error("a name is missing after `.`");
                };
                let name = name.to_owned();
                each = cursor.node(Kind::Attribute(Box::new(each), name), line);
            }
            term = cursor.node(Kind::Splat(Box::new(term), Box::new(each)), line);
            continue;
        }
        let rest = cursor.rest();
        if rest.starts_with('[') {
            cursor.take("[");
            let index = cursor.across_lines(true, |cursor| {
                let index = read(cursor)?;
                cursor.expect("]")?;
                Ok(index)
            })?;
            term = cursor.node(Kind::Index(Box::new(term), Box::new(index)), line);
        } else if rest.starts_with('.') && !rest.starts_with("...") {
            cursor.take(".");
            if let Some(name) = cursor.identifier() {
                let name = name.to_owned();
                term = cursor.node(Kind::Attribute(Box::new(term), name), line);
            } else {
                let digits: String =
                    cursor.rest().chars().take_while(char::is_ascii_digit).collect();
                let Ok(number) = digits.parse::<f64>() else {
                    return cursor.error("a name is missing after `.`");
                };
                cursor.take(&digits);
                let index = cursor.node(Kind::Number(number), line);
                term = cursor.node(Kind::Index(Box::new(term), Box::new(index)), line);
            }
        } else {
            return Ok(term);
        }
    }
    cursor.error("too many names follow each other")
}

fn term(cursor: &mut Cursor<'_>) -> Result<Expression> {
    let line = cursor.line();
    match cursor.peek() {
        Some('(') => {
            cursor.take("(");
            cursor.across_lines(true, |cursor| {
                let inner = read(cursor)?;
                cursor.expect(")")?;
                Ok(inner)
            })
        }
        Some('[') => list(cursor),
        Some('{') => object(cursor),
        Some('"') => template::quoted(cursor),
        Some('<') if cursor.rest().starts_with("<<") => template::heredoc(cursor),
        Some(c) if c.is_ascii_digit() => number(cursor),
        _ => match cursor.identifier() {
            None => cursor.error("an expression is missing here"),
            Some("true") => Ok(cursor.node(Kind::Bool(true), line)),
            Some("false") => Ok(cursor.node(Kind::Bool(false), line)),
            Some("null") => Ok(cursor.node(Kind::Null, line)),
            Some(name) => {
                let mut name = name.to_owned();
                while cursor.take("::") {
                    let Some(more) = cursor.identifier() else {
                        return cursor.error("a name is missing after `::`");
                    };
                    name = format!("{name}::{more}");
                }
                match cursor.take("(") {
                    true => call(cursor, name, line),
                    false => Ok(cursor.node(Kind::Variable(name), line)),
                }
            }
        },
    }
}

fn number(cursor: &mut Cursor<'_>) -> Result<Expression> {
    let line = cursor.line();
    let rest = cursor.rest();
    let mut end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    if rest[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        if digits(end + 1 + sign) > 0 {
            end += 1 + sign + digits(end + 1 + sign);
        }
    }
    let Ok(number) = rest[..end].parse() else { return cursor.error("this is no number") };
    cursor.at += end;
    Ok(cursor.node(Kind::Number(number), line))
}

fn call(cursor: &mut Cursor<'_>, name: String, line: usize) -> Result<Expression> {
    let (args, expands_last) = cursor.across_lines(true, |cursor| {
        let (mut args, mut expands_last) = (Vec::new(), false);
        loop {
            cursor.skip()?;
            if cursor.take(")") {
                return Ok((args, expands_last));
            }
            if !args.is_empty() {
                cursor.expect(",")?;
                cursor.skip()?;
                if cursor.take(")") {
                    return Ok((args, expands_last));
                }
            }
            args.push(read(cursor)?);
            cursor.skip()?;
            if cursor.take("...") {
                expands_last = true;
                cursor.skip()?;
                cursor.take(",");
                cursor.expect(")")?;
                return Ok((args, expands_last));
            }
        }
    })?;
    Ok(cursor.node(Kind::Call { name, args, expands_last }, line))
}

fn list(cursor: &mut Cursor<'_>) -> Result<Expression> {
    let line = cursor.line();
    cursor.take("[");
    let kind = cursor.across_lines(true, |cursor| {
        cursor.skip()?;
        if cursor.take_word("for") {
            return Ok(Kind::For(Box::new(for_of(cursor, "]")?)));
        }
        let mut list = Vec::new();
        loop {
            cursor.skip()?;
            if cursor.take("]") {
                return Ok(Kind::List(list));
            }
            if !list.is_empty() {
                cursor.expect(",")?;
                cursor.skip()?;
                if cursor.take("]") {
                    return Ok(Kind::List(list));
                }
            }
            list.push(read(cursor)?);
        }
    })?;
    Ok(cursor.node(kind, line))
}

/// What follows `for`, with its closing bracket.
fn for_of(cursor: &mut Cursor<'_>, end: &str) -> Result<For> {
    let mut names = Vec::new();
    loop {
        cursor.skip()?;
        let Some(name) = cursor.identifier() else {
            return cursor.error("a name is missing after `for`");
        };
        names.push(name.to_owned());
        cursor.skip()?;
        if !cursor.take(",") {
            break;
        }
    }
    if !cursor.take_word("in") {
        return cursor.error("`in` is missing here");
    }
    let of = read(cursor)?;
    cursor.expect(":")?;
    let first = read(cursor)?;
    cursor.skip()?;
    let (key, value) = match end == "}" && cursor.take("=>") {
        true => (Some(first), read(cursor)?),
        false => (None, first),
    };
    cursor.skip()?;
    let groups = cursor.take("...");
    cursor.skip()?;
    let condition = match cursor.take_word("if") {
        true => Some(read(cursor)?),
        false => None,
    };
    cursor.expect(end)?;
    let value_name = names.pop().unwrap_or_default();
    let key_name = names.pop();
    if !names.is_empty() {
        return cursor.error("`for` has two names at most");
    }
    Ok(For { key_name, value_name, of, key, value, condition, groups })
}

fn object(cursor: &mut Cursor<'_>) -> Result<Expression> {
    let line = cursor.line();
    cursor.take("{");
    let kind = cursor.across_lines(true, |cursor| {
        cursor.skip()?;
        if cursor.take_word("for") {
            return Ok(Kind::For(Box::new(for_of(cursor, "}")?)));
        }
        let mut pairs = Vec::new();
        loop {
            cursor.skip()?;
            if cursor.take("}") {
                return Ok(Kind::Object(pairs));
            }
            pairs.push(cursor.across_lines(false, pair)?);
            let line_before = cursor.line();
            cursor.skip()?;
            if !cursor.take(",") && cursor.line() == line_before && cursor.peek() != Some('}') {
                return cursor.error("a comma or a new line is missing here");
            }
        }
    })?;
    Ok(cursor.node(kind, line))
}

fn pair(cursor: &mut Cursor<'_>) -> Result<(Expression, Expression)> {
    let key = read(cursor)?;
    cursor.skip()?;
    if !cursor.take("=") && !cursor.take(":") {
        return cursor.error("`=` is missing here");
    }
    cursor.skip()?;
    let value = read(cursor)?;
    Ok((key, value))
}
