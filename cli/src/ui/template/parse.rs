//! Pieces as nodes: what a template does, in the order in which it does it.

use serde_json::Value;

use super::function::Function;
use super::lex::{Piece, Word};

/// How deep blocks and parentheses may stand in each other.
const DEEPEST: usize = 32;

/// One thing that a template does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// Prints a value, or keeps it under a name.
    Print {
        name: Option<String>,
        value: Pipeline,
    },
    If {
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        name: Option<String>,
        value: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `names` are those of the element, or of its key and the element.
    Range {
        names: Vec<String>,
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Calls, of which each takes the result of the one before as its last argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline(pub(super) Vec<Call>);

/// A function with its arguments, or a value alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    Function(Function, Vec<Operand>),
    Value(Operand),
    /// `.Label "name"`: what docker's rows answer to a name.
    Method(Vec<String>, Operand),
}

/// A value of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Field(Vec<String>),
    Variable(Vec<String>),
    Literal(Value),
    Group(Pipeline, Vec<String>),
}

/// Reads a template's pieces.
pub(super) fn nodes(pieces: Vec<Piece>) -> Result<Vec<Node>, String> {
    let mut parser = Parser { pieces: pieces.into_iter(), depth: 0 };
    match parser.block()? {
        (nodes, Stop::Text) => Ok(nodes),
        (_, Stop::End) => Err("an `{{end}}` ends nothing".into()),
        (_, Stop::Else(_)) => Err("an `{{else}}` stands in no `{{if}}`".into()),
    }
}

/// The names of the fields that nodes look at first.
pub(super) fn fields(nodes: &[Node]) -> Vec<&str> {
    let mut found = Vec::new();
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Print { value, .. } => found.extend(value.fields()),
            Node::If { condition: value, then, otherwise }
            | Node::With { value, then, otherwise, .. }
            | Node::Range { over: value, body: then, otherwise, .. } => {
                found.extend(value.fields());
                found.extend(fields(then));
                found.extend(fields(otherwise));
            }
        }
    }
    found
}

impl Pipeline {
    fn fields(&self) -> Vec<&str> {
        let operands = self.0.iter().flat_map(|call| match call {
            Call::Function(_, operands) => operands.iter().collect(),
            Call::Value(operand) => vec![operand],
            Call::Method(..) => Vec::new(),
        });
        let mut found = Vec::new();
        for operand in operands {
            match operand {
                Operand::Field(path) => found.extend(path.first().map(String::as_str)),
                Operand::Group(pipeline, _) => found.extend(pipeline.fields()),
                Operand::Variable(_) | Operand::Literal(_) => {}
            }
        }
        found
    }
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
}

/// What ends a block.
enum Stop {
    Text,
    End,
    /// With what stands behind it: `if …`, `with …`, or nothing.
    Else(Vec<Word>),
}

impl Parser {
    fn block(&mut self) -> Result<(Vec<Node>, Stop), String> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let words = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(words) => words,
            };
            match keyword(&words) {
                Some("end") => return Ok((nodes, Stop::End)),
                Some("else") => {
                    return Ok((nodes, Stop::Else(words.get(1..).unwrap_or_default().to_vec())));
                }
                Some(word @ ("define" | "template" | "block" | "break" | "continue")) => {
                    return Err(format!("`{{{{{word}}}}}` is not to be had"));
                }
                _ => nodes.push(self.node(&words)?),
            }
        }
        Ok((nodes, Stop::Text))
    }

    fn node(&mut self, words: &[Word]) -> Result<Node, String> {
        let rest = words.get(1..).unwrap_or_default();
        match keyword(words) {
            Some("if") => {
                let condition = pipeline(rest)?;
                let (then, otherwise) = self.branches("if")?;
                Ok(Node::If { condition, then, otherwise })
            }
            Some("with") => {
                let (mut names, value) = assignment(rest)?;
                let (then, otherwise) = self.branches("with")?;
                Ok(Node::With { name: names.pop(), value, then, otherwise })
            }
            Some("range") => {
                let (names, over) = assignment(rest)?;
                let (body, otherwise) = self.branches("range")?;
                Ok(Node::Range { names, over, body, otherwise })
            }
            _ => {
                let (mut names, value) = assignment(words)?;
                Ok(Node::Print { name: names.pop(), value })
            }
        }
    }

    /// What stands between a keyword, its `{{else}}` and its `{{end}}`.
    fn branches(&mut self, of: &str) -> Result<(Vec<Node>, Vec<Node>), String> {
        let open = || format!("`{{{{{of}}}}}` has no `{{{{end}}}}`");
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is too deep".into());
        }
        let (then, end) = self.block()?;
        let otherwise = match end {
            Stop::Text => return Err(open()),
            Stop::End => Vec::new(),
            // `{{else if}}` shares the end with what it is in.
            Stop::Else(words) if !words.is_empty() => vec![self.node(&words)?],
            Stop::Else(_) => match self.block()? {
                (nodes, Stop::End) => nodes,
                (_, Stop::Else(_)) => return Err(format!("`{{{{{of}}}}}` has two `{{{{else}}}}`")),
                (_, Stop::Text) => return Err(open()),
            },
        };
        self.depth -= 1;
        Ok((then, otherwise))
    }
}

fn keyword(words: &[Word]) -> Option<&str> {
    match words.first() {
        Some(Word::Name(name)) => Some(name),
        _ => None,
    }
}

/// `$a, $b := pipeline`, or a pipeline alone.
fn assignment(words: &[Word]) -> Result<(Vec<String>, Pipeline), String> {
    let sign = words.iter().position(|word| matches!(word, Word::Sign(":=" | "=")));
    let Some(sign) = sign else { return Ok((Vec::new(), pipeline(words)?)) };
    let (names, value) = words.split_at(sign);
    let mut found = Vec::new();
    for word in names {
        match word {
            Word::Variable(path) if path.len() == 1 => found.extend(path.iter().cloned()),
            Word::Sign(",") => {}
            _ => return Err("only a variable, as $x, is given a value".into()),
        }
    }
    Ok((found, pipeline(value.get(1..).unwrap_or_default())?))
}

fn pipeline(words: &[Word]) -> Result<Pipeline, String> {
    let mut words = Words { words, depth: 0 };
    let pipeline = words.pipeline()?;
    match words.words {
        [] => Ok(pipeline),
        _ => Err("a `)` closes nothing".into()),
    }
}

/// Words that are still to be read.
struct Words<'a> {
    words: &'a [Word],
    depth: usize,
}

impl Words<'_> {
    fn pipeline(&mut self) -> Result<Pipeline, String> {
        let mut calls = vec![self.call()?];
        while let [Word::Sign("|"), rest @ ..] = self.words {
            self.words = rest;
            match self.call()? {
                Call::Value(_) | Call::Method(..) => {
                    return Err("behind a `|` stands a function".into());
                }
                call => calls.push(call),
            }
        }
        Ok(Pipeline(calls))
    }

    fn call(&mut self) -> Result<Call, String> {
        let function = match self.words {
            [Word::Name(name), rest @ ..] if Operand::constant(name).is_none() => {
                self.words = rest;
                Some(Function::named(name)?)
            }
            _ => None,
        };
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
        }
        if let Some(function) = function {
            return Ok(Call::Function(function, operands));
        }
        let mut operands = operands.into_iter();
        match (operands.next(), operands.next(), operands.next()) {
            (None, ..) => Err("a placeholder is empty".into()),
            (Some(one), None, _) => Ok(Call::Value(one)),
            (Some(Operand::Field(path)), Some(argument), None) => Ok(Call::Method(path, argument)),
            _ => Err("a value takes no arguments".into()),
        }
    }

    fn operand(&mut self) -> Result<Option<Operand>, String> {
        let [word, rest @ ..] = self.words else { return Ok(None) };
        let operand = match word {
            Word::Sign(")" | "|") => return Ok(None),
            Word::Sign("(") => {
                self.words = rest;
                return self.group().map(Some);
            }
            Word::Of(_) => return Err("a field stands behind nothing".into()),
            Word::Sign(sign) => return Err(format!("`{sign}` stands where a value should")),
            Word::Field(path) => Operand::Field(path.clone()),
            Word::Variable(path) => Operand::Variable(path.clone()),
            Word::Text(text) => Operand::Literal(text.clone().into()),
            Word::Number(number) => Operand::Literal((*number).into()),
            Word::Name(name) => match Operand::constant(name) {
                Some(value) => Operand::Literal(value),
                // A function that takes nothing, as an argument.
                None => return Err(format!("`{name}` as an argument stands in parentheses")),
            },
        };
        self.words = rest;
        Ok(Some(operand))
    }

    fn group(&mut self) -> Result<Operand, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is too deep".into());
        }
        let inside = self.pipeline()?;
        self.depth -= 1;
        match self.words {
            [Word::Sign(")"), rest @ ..] => {
                let (path, rest) = match rest {
                    [Word::Of(path), rest @ ..] => (path.clone(), rest),
                    _ => (Vec::new(), rest),
                };
                self.words = rest;
                Ok(Operand::Group(inside, path))
            }
            _ => Err("a `(` has no `)`".into()),
        }
    }
}

impl Operand {
    fn constant(name: &str) -> Option<Value> {
        match name {
            "true" => Some(true.into()),
            "false" => Some(false.into()),
            "nil" => Some(Value::Null),
            _ => None,
        }
    }
}
