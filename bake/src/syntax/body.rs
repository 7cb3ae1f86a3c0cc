//! Attributes and blocks of HCL.

use super::cursor::Cursor;
use super::{Attribute, Block, Body, expression, template};
use crate::Result;
use crate::error::shown;

/// The body of a file.
pub(super) fn file(file: &str, text: &str) -> Result<Body> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut cursor = Cursor::new(file.into(), text, 1, 0);
    let body = body(&mut cursor)?;
    match cursor.rest().is_empty() {
        true => Ok(body),
        false => cursor.error("there is a `}` too many"),
    }
}

/// What stands up to a closing brace or the end.
fn body(cursor: &mut Cursor<'_>) -> Result<Body> {
    let mut body = Body::default();
    loop {
        cursor.skip_lines()?;
        if matches!(cursor.peek(), None | Some('}')) {
            return Ok(body);
        }
        item(cursor, &mut body)?;
        cursor.skip()?;
        match cursor.peek() {
            None | Some('\n' | '}') => {}
            Some(_) => {
                let rest = cursor.rest().lines().next().unwrap_or_default();
                return cursor.error(format!("a new line is missing before `{}`", shown(rest)));
            }
        }
    }
}

fn item(cursor: &mut Cursor<'_>, body: &mut Body) -> Result<()> {
    let line = cursor.line();
    let quoted = cursor.peek() == Some('"');
    let name = match quoted {
        true => template::plain(cursor)?,
        false => match cursor.identifier() {
            Some(name) => name.to_owned(),
            None => return cursor.error("an attribute or a block is missing here"),
        },
    };
    cursor.skip()?;
    if cursor.peek() == Some('=') && !cursor.rest().starts_with("==") {
        cursor.take("=");
        if body.attributes.iter().any(|attribute| attribute.name == name) {
            return cursor.error(format!("the attribute `{name}` is there twice"));
        }
        let value = expression::read(cursor)?;
        body.attributes.push(Attribute { name, value });
        return Ok(());
    }
    let mut labels = Vec::new();
    loop {
        cursor.skip()?;
        match cursor.peek() {
            Some('{') => break,
            Some('"') => labels.push(template::plain(cursor)?),
            _ => match cursor.identifier() {
                Some(label) => labels.push(label.to_owned()),
                None => return cursor.error(format!("`=` or `{{` is missing after `{name}`")),
            },
        }
    }
    cursor.take("{");
    let inner = cursor.across_lines(false, |cursor| self::body(cursor))?;
    if !cursor.take("}") {
        return cursor.error(format!("the block `{name}` has no end"));
    }
    body.blocks.push(Block { kind: name, labels, body: inner, file: cursor.file.clone(), line });
    Ok(())
}
