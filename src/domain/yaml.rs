//! YAML text to a tree in which every node knows its place.
//!
//! Built from parser events, so that all bounds hold while reading: bytes, depth, nodes (an alias counts as what
//! it expands to, and is counted before it is followed) and text. Plain scalars keep their text; what Helm would
//! make of them is a question asked later ([`Scalar::resolve`]), by whoever knows which type belongs there.
//!
//! Source of the scalar rules: Helm reads values with sigs.k8s.io/yaml, that is go-yaml v2 (`resolve.go`), which
//! is YAML 1.1 for the most part: `yes` and `on` are booleans, `1.10` and `1e3` are numbers, `0755` is octal.
//! Stricter than Helm on purpose: duplicate keys, several documents, directives, tags of one's own and keys that
//! are not texts are refused.

use std::sync::Arc;

use super::diagnostic::{Place, quoted};

mod build;
mod scalar;

pub use build::parse;

/// Deeper than this is refused whatever the limits say: trees are walked and dropped by recursion.
pub const DEEPEST: u32 = 128;

/// A value and where it stands. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What stands there.
    pub value: Value,
    /// Line, from 1. Of an aliased node: that of the alias; of the nodes in it: that of the anchored text.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// The three shapes of YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, number, boolean or nothing.
    Scalar(Scalar),
    /// A list.
    List(Arc<[Node]>),
    /// A mapping in the order of the file, each key once.
    Map(Arc<[Entry]>),
}

/// A scalar as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, escapes resolved.
    pub text: Arc<str>,
    /// Whether it may be anything but a text.
    pub form: Form,
}

/// Whether the look of a scalar decides its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Neither quoted nor tagged: `1.10` is a number.
    Plain,
    /// Quoted, a block, or tagged `!!str`: always a text.
    Text,
}

/// One key of a mapping and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key's text.
    pub key: Arc<str>,
    /// Line of the key, from 1.
    pub line: u32,
    /// Column of the key in characters, from 1.
    pub column: u32,
    /// The value.
    pub node: Node,
}

/// What Helm takes a scalar for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved<'a> {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// A boolean, `yes` and `off` among them.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number, those too large for [`Resolved::Int`] among them.
    Float(f64),
    /// A text.
    Text(&'a str),
}

impl Node {
    /// Its place in a file.
    pub fn place(&self, file: &str) -> Place {
        Place { file: file.to_owned(), line: self.line, column: self.column }
    }

    /// The value of a key, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.node),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// Whether nothing stands here: an empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.resolve() == Resolved::Null,
            Value::List(_) | Value::Map(_) => false,
        }
    }

    /// What it is, for messages: `a list`, `the number 1.10`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a mapping".into(),
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => "nothing".into(),
                Resolved::Bool(_) => format!("the boolean {}", quoted(&scalar.text)),
                Resolved::Int(_) | Resolved::Float(_) => format!("the number {}", quoted(&scalar.text)),
                Resolved::Text(_) => format!("the text {}", quoted(&scalar.text)),
            },
        }
    }
}

impl Entry {
    /// The key's place in a file.
    pub fn place(&self, file: &str) -> Place {
        Place { file: file.to_owned(), line: self.line, column: self.column }
    }
}

impl Scalar {
    /// What Helm takes it for.
    pub fn resolve(&self) -> Resolved<'_> {
        match self.form {
            Form::Text => Resolved::Text(&self.text),
            Form::Plain => scalar::resolve_plain(&self.text),
        }
    }
}

/// The value as Helm's templates see it.
pub fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => serde_json::Value::Null,
            Resolved::Bool(value) => value.into(),
            Resolved::Int(value) => value.into(),
            // Not-a-number was reported when it was read.
            Resolved::Float(value) => value.into(),
            Resolved::Text(text) => text.into(),
        },
        Value::List(nodes) => nodes.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let pairs = entries.iter().map(|entry| (entry.key.to_string(), to_json(&entry.node)));
            serde_json::Value::Object(pairs.collect())
        }
    }
}

#[cfg(test)]
mod tests;
