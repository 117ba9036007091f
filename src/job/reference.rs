//! What a file may say, made from the types that it is read into: as a JSON Schema, with which an editor completes and checks what is
//! typed, and as a page for people. Neither can say anything else than the parser.
//!
//! The descriptions are the doc comments of the definition types, legal values and ranges are those that the checks use, defaults
//! those that are taken.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::definition::{Definition, Meant};
use super::scenario;

/// The JSON Schema (draft 7) of a job or scenario file; `x-unit` is the unit of a number, `x-legal` its range in words.
pub fn schema(meant: Meant) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let generator = settings.into_generator();
    let schema = match meant {
        Meant::Job => generator.into_root_schema_for::<Definition>(),
        Meant::Scenario => generator.into_root_schema_for::<scenario::Definition>(),
    };
    let mut schema = schema.to_value();
    tidy(&mut schema);
    schema["title"] = json!(format!("A {} file of nicho", word(meant)));
    schema
}

fn word(meant: Meant) -> &'static str {
    if meant == Meant::Job { "job" } else { "scenario" }
}

/// Takes out what is of the types and not of the file: TOML has no null, and a format like `uint64` says nothing to a person.
fn tidy(schema: &mut Value) {
    let Value::Object(of) = schema else { return };
    of.remove("format");
    if of.get("default").is_some_and(|value| value.is_null() || value.is_object() || value == &json!([])) {
        of.remove("default");
    }
    if let Some(Value::String(words)) = of.get_mut("description") {
        *words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(Value::Array(types)) = of.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            of.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(either)) = of.get_mut("anyOf") {
        either.retain(|one| *one != json!({ "type": "null" }));
        if let [Value::Object(one)] = either.as_mut_slice() {
            let one = std::mem::take(one);
            of.remove("anyOf");
            // What the key says of itself comes before what its type says.
            for (key, value) in one {
                of.entry(key).or_insert(value);
            }
        }
    }
    for (key, inner) in of.iter_mut() {
        match (key.as_str(), inner) {
            ("items" | "additionalProperties", inner) => tidy(inner),
            ("properties", Value::Object(keys)) => keys.values_mut().for_each(tidy),
            ("anyOf", Value::Array(either)) => either.iter_mut().for_each(tidy),
            _ => {}
        }
    }
}

/// A key of a file.
pub struct Key {
    /// Its name in its table.
    pub name: String,
    /// Whether it must be there.
    pub required: bool,
    /// Its schema.
    pub schema: Value,
}

/// A table of a file, with those of its keys that are no tables themselves.
pub struct Table {
    /// Where it stands, as in `sampler`, `variant.*`, `priors.*`; empty at the top level.
    pub path: String,
    /// As it is opened, as in `[sampler]`, `[[variant]]`; empty at the top level.
    pub header: String,
    /// What it is.
    pub meaning: String,
    /// Its keys: the name, then what must be there, then the others.
    pub keys: Vec<Key>,
}

/// The tables of a file, each before those in it.
pub fn tables(meant: Meant) -> Vec<Table> {
    let mut all = Vec::new();
    gather(&schema(meant), String::new(), String::new(), &mut all);
    all
}

fn text(schema: &Value, key: &str) -> String {
    schema[key].as_str().unwrap_or_default().into()
}

fn gather(schema: &Value, path: String, header: String, into: &mut Vec<Table>) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let mut keys: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    keys.sort_by_key(|(name, _)| (*name != "name", !required(name)));
    let at = into.len();
    into.push(Table { path: path.clone(), header, meaning: text(schema, "description"), keys: Vec::new() });
    for (name, of) in keys {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let opened = path.replace(".*", "");
        let is_table = |schema: &Value| schema["properties"].is_object();
        let (inner, path, header) = match of {
            _ if is_table(of) => (of, path, format!("[{opened}]")),
            _ if is_table(&of["items"]) => (&of["items"], format!("{path}.*"), format!("[[{opened}]]")),
            _ if is_table(&of["additionalProperties"]) => {
                (&of["additionalProperties"], format!("{path}.*"), format!("[{opened}] NAME = {{ … }}"))
            }
            _ => {
                into[at].keys.push(Key { name: name.clone(), required: required(name), schema: of.clone() });
                continue;
            }
        };
        // The key says more of itself than its type does.
        let mut inner = inner.clone();
        inner["description"] = of["description"].clone();
        gather(&inner, path, header, into);
    }
}

impl Key {
    /// What is written for it: `whole number`, `list of texts`.
    pub fn kind(&self) -> String {
        kind(&self.schema)
    }

    /// Its legal values or their range; empty if there are no others.
    pub fn legal(&self) -> String {
        let words = |schema: &Value| {
            let names = schema["enum"].as_array()?;
            Some(names.iter().map(Value::to_string).collect::<Vec<_>>().join(", "))
        };
        let of = &self.schema;
        let either = of["anyOf"].as_array().into_iter().flatten().map(|one| text(one, "x-legal"));
        let either: Vec<String> = either.filter(|range| !range.is_empty()).collect();
        let named = words(of).or_else(|| words(&of["items"])).or_else(|| Some(format!("of {}", words(&of["propertyNames"])?)));
        match (named, text(of, "x-legal")) {
            (None, range) if range.is_empty() => either.join("; "),
            (None, range) => range,
            (Some(names), range) if range.is_empty() => names,
            (Some(names), range) => format!("{range}, {names}"),
        }
    }

    /// Unit of the number; empty if it is a pure one.
    pub fn unit(&self) -> String {
        text(&self.schema, "x-unit")
    }

    /// What it is.
    pub fn meaning(&self) -> String {
        text(&self.schema, "description")
    }

    /// The value that is taken where it is not given, as it would be written; `None` if there is none.
    pub fn default(&self) -> Option<String> {
        self.schema.get("default").map(toml)
    }

    /// Examples, as a line of the file each.
    pub fn examples(&self) -> Vec<String> {
        let given = self.schema["examples"].as_array().into_iter().flatten();
        given.map(|value| format!("{} = {}", self.name, toml(value))).collect()
    }
}

fn kind(schema: &Value) -> String {
    let either = |list: &Vec<Value>| list.iter().map(kind).collect::<Vec<_>>().join(", or ");
    match schema["type"].as_str() {
        Some("string") => "text".into(),
        Some("integer") => "whole number".into(),
        Some("number") => "number".into(),
        Some("boolean") => "true or false".into(),
        Some("array") if schema["minItems"].is_number() => format!("list of {} {}s", schema["minItems"], kind(&schema["items"])),
        Some("array") => format!("list of {}", plural(&schema["items"])),
        Some("object") if schema["properties"].is_object() => {
            let keys = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| format!("{name} = …"));
            format!("table {{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        Some("object") => format!("table of {}", plural(&schema["additionalProperties"])),
        _ => schema["anyOf"].as_array().map(either).unwrap_or_default(),
    }
}

fn plural(schema: &Value) -> String {
    let one = kind(schema);
    match one.strip_prefix("table ") {
        Some(keys) => format!("tables {keys}"),
        None => format!("{one}s"),
    }
}

/// A value as a job file writes it.
pub fn toml(value: &Value) -> String {
    match value {
        Value::Object(of) => {
            let pairs: Vec<String> = of.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// The page for people, in Markdown.
pub fn page(meant: Meant) -> String {
    let what = word(meant);
    let mut out = format!(
        "# Keys of a {what} file\n\n\
         Made by `nicho schema {what} --markdown` from the types that read such a file; do not edit it here. Without `--markdown` the\n\
         same is a JSON Schema, with which an editor completes and checks what you type. A key that is not listed is refused.\n"
    );
    for table in tables(meant) {
        let header = if table.header.is_empty() { "the top level".into() } else { format!("`{}`", table.header) };
        out += &format!("\n## {header}\n");
        if !table.header.is_empty() {
            out += &format!("\n{}\n", table.meaning);
        }
        if table.keys.is_empty() {
            continue;
        }
        out += "\n| key | value | legal | unit | default | meaning | example |\n|---|---|---|---|---|---|---|\n";
        for key in &table.keys {
            let code = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
            let default = match key.default() {
                _ if key.required => "required".into(),
                default => code(default.unwrap_or_default()),
            };
            let examples: Vec<String> = key.examples().into_iter().map(code).collect();
            let legal = key.legal().replace('"', "`");
            let cells = [code(key.name.clone()), key.kind(), legal, key.unit(), default, key.meaning(), examples.join("<br>")];
            out += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    out
}
