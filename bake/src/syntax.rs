//! Texts of definitions become bodies of attributes and blocks, and expressions.

mod body;
mod cursor;
mod expression;
mod json;
mod template;

use std::rc::Rc;

use crate::Result;

pub(crate) use json::body as json_body;

/// How deep expressions, templates and blocks may be nested.
const MAX_DEPTH: usize = 100;

/// How many operators of one kind, or names behind dots, may follow each other.
const MAX_CHAIN: usize = 60;

/// An expression and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    pub(crate) kind: Kind,
    pub(crate) file: Rc<str>,
    pub(crate) line: usize,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(f64),
    Template(Vec<Part>),
    List(Vec<Expression>),
    Object(Vec<(Expression, Expression)>),
    Variable(String),
    Attribute(Box<Expression>, String),
    Index(Box<Expression>, Box<Expression>),
    /// What is behind `[*]` or `.*`, applied to each element. Inside, `Kind::Element` stands for
    /// the element.
    Splat(Box<Expression>, Box<Expression>),
    Element,
    Call {
        name: String,
        args: Vec<Expression>,
        expands_last: bool,
    },
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Conditional(Box<Expression>, Box<Expression>, Box<Expression>),
    For(Box<For>),
}

/// `[for k, v in of : value if condition]`, or with `key => value` in braces.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct For {
    pub(crate) key_name: Option<String>,
    pub(crate) value_name: String,
    pub(crate) of: Expression,
    pub(crate) key: Option<Expression>,
    pub(crate) value: Expression,
    pub(crate) condition: Option<Expression>,
    /// Whether values of one key become a list.
    pub(crate) groups: bool,
}

/// An operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Value(Expression),
    If { condition: Expression, then: Vec<Part>, otherwise: Vec<Part> },
    For { key_name: Option<String>, value_name: String, of: Expression, body: Vec<Part> },
}

/// What stands in a file or in the braces of a block.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Body {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) blocks: Vec<Block>,
}

/// `name = value`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: Expression,
}

/// `kind "label" { … }`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) labels: Vec<String>,
    pub(crate) body: Body,
    pub(crate) file: Rc<str>,
    pub(crate) line: usize,
}

impl Body {
    /// The attribute of a name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Expression> {
        self.attributes.iter().rev().find(|a| a.name == name).map(|attribute| &attribute.value)
    }
}

impl Expression {
    /// A word that stands for itself: an identifier, or a text as JSON has it.
    pub(crate) fn as_keyword(&self) -> Option<String> {
        match &self.kind {
            Kind::Variable(name) => Some(name.clone()),
            Kind::Template(parts) => match &parts[..] {
                [Part::Text(text)] => Some(text.clone()),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Reads HCL.
pub(crate) fn hcl_body(file: &str, text: &str) -> Result<Body> {
    body::file(file, text)
}

/// Reads one expression.
pub(crate) fn expression(file: &Rc<str>, text: &str) -> Result<Expression> {
    expression::whole(file, text)
}
