//! Parser events to a tree, within bounds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::domain::catalog::Limits;
use crate::domain::diagnostic::{Code, Diagnostic, Place, quoted};

use super::scalar::resolve_plain;
use super::{DEEPEST, Entry, Form, Node, Resolved, Scalar, Value};

/// Reads a text with exactly one document. The tree is there also beside faults that leave it readable (a key
/// twice: the first counts), so that the rest can be checked too.
pub fn parse(file: &str, text: &str, limits: &Limits) -> (Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder {
        file,
        max_depth: limits.max_depth.min(DEEPEST),
        max_nodes: u64::from(limits.max_nodes),
        max_text: limits.max_bytes,
        diagnostics: Vec::new(),
        open: Vec::new(),
        root: None,
        anchors: BTreeMap::new(),
        nodes: 0,
        aliased: 0,
    };
    let root = match builder.read(text, limits) {
        Ok(()) => builder.root.take(),
        Err(fault) => {
            builder.diagnostics.push(*fault);
            None
        }
    };
    (root, builder.diagnostics)
}

/// A fault that ends the reading.
type Fatal = Box<Diagnostic>;

struct Builder<'a> {
    file: &'a str,
    max_depth: u32,
    max_nodes: u64,
    max_text: u64,
    diagnostics: Vec<Diagnostic>,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, Anchored>,
    /// Nodes so far, aliases counted as what they expand to.
    nodes: u64,
    /// Bytes of text that aliases repeat.
    aliased: u64,
}

/// A collection of which the end has not come yet.
struct Open {
    shape: Shape,
    anchor: usize,
    line: u32,
    column: u32,
    size: Size,
}

enum Shape {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// Where each key stands among the entries.
    seen: HashMap<Arc<str>, usize>,
    /// The key of which the value has not come yet.
    key: Option<(Arc<str>, Form, u32, u32)>,
    /// The value of `<<`, and how many keys stood before it.
    merge: Option<(usize, Node)>,
}

/// What a subtree weighs when an alias repeats it.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: u64,
    text: u64,
    height: u32,
}

struct Anchored {
    node: Node,
    size: Size,
}

impl Builder<'_> {
    fn read(&mut self, text: &str, limits: &Limits) -> Result<(), Fatal> {
        if text.len() as u64 > limits.max_bytes {
            let message = format!("the file has {} bytes; {} are allowed", text.len(), limits.max_bytes);
            return Err(fatal(
                Code::LimitExceeded,
                Place::file(self.file),
                message,
                "split it, or raise max-bytes",
            ));
        }
        self.refuse_unreadable(text)?;
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| self.not_yaml(&error))?;
            let (line, column) = position(span.start);
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let message = "a second document begins here";
                        let help = "keep one document in the file: remove `---` and what follows it";
                        return Err(fatal(Code::BadYaml, self.at(line, column), message, help));
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let form = self.form(style, tag.as_deref(), &text, line, column)?;
                    let value = Value::Scalar(Scalar { text: text.as_ref().into(), form });
                    let size = Size { nodes: 1, text: text.len() as u64, height: 0 };
                    self.count(1, line, column)?;
                    self.add(Node { value, line, column }, anchor, size)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.core_tag(tag.as_deref(), "seq", line, column)?;
                    self.begin(Shape::List(Vec::new()), anchor, line, column)?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.core_tag(tag.as_deref(), "map", line, column)?;
                    self.begin(Shape::Map(OpenMap::default()), anchor, line, column)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end()?,
                Event::Alias(anchor) => self.repeat(anchor, line, column)?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        if self.root.as_ref().is_none_or(Node::is_null) {
            let help = "write the values, or remove the file";
            return Err(fatal(Code::BadYaml, Place::file(self.file), "the file is empty", help));
        }
        Ok(())
    }

    /// The parser takes NUL for the end and would leave the rest of the file out without a word; `%TAG` could
    /// make every tag as long as the file.
    fn refuse_unreadable(&self, text: &str) -> Result<(), Fatal> {
        for (number, line) in (1..).zip(text.lines()) {
            let unreadable = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\u{85}');
            if let Some((before, c)) = (0..).zip(line.chars()).find(|(_, c)| unreadable(*c)) {
                let message = format!("the control character U+{:04X}", c as u32);
                let help = "remove it; in a quoted text write it as an escape";
                return Err(fatal(Code::BadYaml, self.at(number, before + 1), message, help));
            }
            if line.starts_with('%') {
                let message = "YAML directives are not read";
                return Err(fatal(Code::BadYaml, self.at(number, 1), message, "remove the line"));
            }
        }
        Ok(())
    }

    fn begin(&mut self, shape: Shape, anchor: usize, line: u32, column: u32) -> Result<(), Fatal> {
        if let Some(Open { shape: Shape::Map(OpenMap { key: None, .. }), .. }) = self.open.last() {
            return Err(self.not_a_key(line, column));
        }
        if self.open.len() as u64 >= u64::from(self.max_depth) {
            return Err(self.too_deep(line, column));
        }
        self.count(1, line, column)?;
        self.open.push(Open { shape, anchor, line, column, size: Size { nodes: 1, text: 0, height: 1 } });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fatal> {
        let Some(Open { shape, anchor, line, column, size }) = self.open.pop() else { return Ok(()) };
        let value = match shape {
            Shape::List(nodes) => Value::List(nodes.into()),
            Shape::Map(map) => Value::Map(self.merged(map)?.into()),
        };
        self.add(Node { value, line, column }, anchor, size)
    }

    fn repeat(&mut self, anchor: usize, line: u32, column: u32) -> Result<(), Fatal> {
        let Some(Anchored { node, size }) = self.anchors.get(&anchor) else {
            let message = "the alias stands inside of what it repeats";
            return Err(fatal(Code::BadYaml, self.at(line, column), message, "write the value out"));
        };
        let (node, size) = (Node { line, column, ..node.clone() }, *size);
        self.count(size.nodes, line, column)?;
        self.aliased = self.aliased.saturating_add(size.text);
        if self.aliased > self.max_text {
            let message = format!("aliases repeat more than {} bytes of text", self.max_text);
            return Err(fatal(
                Code::LimitExceeded,
                self.at(line, column),
                message,
                "repeat less, or raise max-bytes",
            ));
        }
        if self.open.len() as u64 + u64::from(size.height) > u64::from(self.max_depth) {
            return Err(self.too_deep(line, column));
        }
        self.add(node, 0, size)
    }

    /// Puts a complete node where it belongs: into the innermost open collection, or at the top.
    fn add(&mut self, node: Node, anchor: usize, size: Size) -> Result<(), Fatal> {
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size.nodes = open.size.nodes.saturating_add(size.nodes);
        open.size.text = open.size.text.saturating_add(size.text);
        open.size.height = open.size.height.max(size.height + 1);
        let map = match &mut open.shape {
            Shape::List(nodes) => {
                nodes.push(node);
                return Ok(());
            }
            Shape::Map(map) => map,
        };
        let Some((key, form, line, column)) = map.key.take() else {
            let Node { value: Value::Scalar(scalar), line, column } = node else {
                return Err(self.not_a_key(node.line, node.column));
            };
            if scalar.resolve() == Resolved::Null {
                return Err(self.not_a_key(line, column));
            }
            map.key = Some((scalar.text, scalar.form, line, column));
            return Ok(());
        };
        let merge = &*key == "<<" && form == Form::Plain;
        if merge && map.merge.is_none() {
            map.merge = Some((map.entries.len(), node));
            return Ok(());
        }
        let first = match (merge, &map.merge) {
            (true, Some((_, node))) => Some((node.line, node.column)),
            (true, None) | (false, _) => {
                map.seen.get(&key).map(|first| (map.entries[*first].line, map.entries[*first].column))
            }
        };
        if let Some((first_line, first_column)) = first {
            let first = self.at(first_line, first_column);
            let message = format!("{} stands twice in this mapping; first at {first}", quoted(&key));
            let place = self.at(line, column);
            self.report(
                Diagnostic::error(Code::DuplicateKey, place, message).with_help("remove one of them"),
            );
            return Ok(());
        }
        map.seen.insert(Arc::clone(&key), map.entries.len());
        map.entries.push(Entry { key, line, column, node });
        Ok(())
    }

    /// The entries of a mapping with those of `<<` put in: written ones win, then the first source that has one.
    fn merged(&mut self, map: OpenMap) -> Result<Vec<Entry>, Fatal> {
        let OpenMap { mut entries, mut seen, merge, .. } = map;
        let Some((before, merge)) = merge else { return Ok(entries) };
        let sources: &[Node] = match &merge.value {
            Value::List(nodes) => nodes,
            Value::Map(_) | Value::Scalar(_) => std::slice::from_ref(&merge),
        };
        for source in sources {
            let Value::Map(given) = &source.value else {
                let message =
                    format!("`<<` takes a mapping or a list of mappings, not {}", source.describe());
                let help = "give it an alias of a mapping, such as `<<: *defaults`";
                return Err(fatal(Code::BadYaml, self.at(source.line, source.column), message, help));
            };
            for entry in given.iter() {
                match seen.get(&entry.key) {
                    // go-yaml v2 lets a later `<<` win over a written key, against YAML: refuse what is ambiguous.
                    Some(first) if *first < before => {
                        let message = format!(
                            "{} stands before `<<`, which gives it too: Helm takes the latter",
                            quoted(&entry.key)
                        );
                        let place = self.at(entries[*first].line, entries[*first].column);
                        let fault = Diagnostic::error(Code::DuplicateKey, place, message);
                        self.report(fault.with_help("put `<<` first in the mapping"));
                    }
                    Some(_) => {}
                    None => {
                        seen.insert(Arc::clone(&entry.key), entries.len());
                        entries.push(entry.clone());
                    }
                }
            }
        }
        Ok(entries)
    }

    fn form(
        &mut self,
        style: ScalarStyle,
        tag: Option<&Tag>,
        text: &str,
        line: u32,
        column: u32,
    ) -> Result<Form, Fatal> {
        let form = match style {
            ScalarStyle::Plain => Form::Plain,
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => Form::Text,
        };
        if let Some(tag) = tag {
            let text_by_tag = if tag.is_yaml_core_schema() { tag.suffix == "str" } else { is_bare(tag) };
            if !text_by_tag {
                return Err(self.bad_tag(tag, line, column));
            }
            return Ok(Form::Text);
        }
        if form == Form::Plain
            && let Resolved::Float(number) = resolve_plain(text)
            && !number.is_finite()
        {
            let message = format!("{} is not a number that Helm can pass on", quoted(text));
            let place = self.at(line, column);
            self.report(
                Diagnostic::error(Code::BadValue, place, message).with_help("write a number, or quote it"),
            );
        }
        Ok(form)
    }

    fn core_tag(&self, tag: Option<&Tag>, expected: &str, line: u32, column: u32) -> Result<(), Fatal> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => {
                Err(self.bad_tag(tag, line, column))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn count(&mut self, nodes: u64, line: u32, column: u32) -> Result<(), Fatal> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.max_nodes {
            let message = format!("more than {} values, aliases counted as what they repeat", self.max_nodes);
            let help = "split the file, or raise max-nodes";
            return Err(fatal(Code::LimitExceeded, self.at(line, column), message, help));
        }
        Ok(())
    }

    /// A fault that leaves the tree readable; a hostile file cannot make more of them than this.
    fn report(&mut self, diagnostic: Diagnostic) {
        const MOST: usize = 500;
        if self.diagnostics.len() < MOST {
            self.diagnostics.push(diagnostic);
        }
    }

    fn at(&self, line: u32, column: u32) -> Place {
        Place { file: self.file.to_owned(), line, column }
    }

    fn too_deep(&self, line: u32, column: u32) -> Fatal {
        let message = format!("nested more than {} deep", self.max_depth);
        fatal(Code::LimitExceeded, self.at(line, column), message, "nest less, or raise max-depth")
    }

    fn not_a_key(&self, line: u32, column: u32) -> Fatal {
        let help = "where this is a template, quote it: \"{{ .Values.global.imageTag }}\"";
        fatal(Code::BadYaml, self.at(line, column), "a mapping's key must be a text", help)
    }

    fn bad_tag(&self, tag: &Tag, line: u32, column: u32) -> Fatal {
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let message = format!("the YAML tag {} is not read", quoted(&name));
        fatal(Code::BadYaml, self.at(line, column), message, "remove it; quotes make a text of anything")
    }

    fn not_yaml(&self, error: &ScanError) -> Fatal {
        let (line, column) = position(*error.marker());
        let message = format!("not YAML: {}", error.info());
        let help = "check indentation, quotes and colons from here upwards";
        fatal(Code::BadYaml, self.at(line, column), message, help)
    }
}

fn fatal(code: Code, place: Place, message: impl Into<String>, help: &str) -> Fatal {
    Box::new(Diagnostic::error(code, place, message).with_help(help))
}

/// The parser counts lines from 1 and columns from 0.
fn position(marker: Marker) -> (u32, u32) {
    let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (clamp(marker.line()), clamp(marker.col()).saturating_add(1))
}

/// `!` alone: "take it as a text".
fn is_bare(tag: &Tag) -> bool {
    (tag.handle.is_empty() && tag.suffix == "!") || (tag.handle == "!" && tag.suffix.is_empty())
}
