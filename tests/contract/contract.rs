//! The shipped schemas, and the question whether a message keeps to them.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::LazyLock};

use jsonschema::{Draft, Validator};
use serde_json::Value;
use tillbox::{content::ContentId, transaction::Transaction};

/// The bodies that have a schema each; `event` is the envelope of the first six.
pub const NAMES: [&str; 10] =
    ["transaction", "closing", "quarantine", "gap", "notice", "hello", "event", "status", "checkpoint", "stored"];

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/contract")
}

pub fn document(file: &str) -> Value {
    let path = folder().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn schema(name: &str) -> Value {
    document(&format!("{name}.schema.json"))
}

type Validators = BTreeMap<&'static str, Validator>;

fn validators(form: fn(&str) -> Value) -> Validators {
    let compiled = |name| {
        let options = jsonschema::options().with_draft(Draft::Draft202012);
        options.build(&form(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    NAMES.into_iter().map(|name| (name, compiled(name))).collect()
}

/// The schemas as they are shipped: what a consumer holds a message against.
static SHIPPED: LazyLock<Validators> = LazyLock::new(|| validators(schema));

/// The same, closed: a member that no schema describes is a mistake of ours. `stored` is HQ's, who may say more.
static CLOSED: LazyLock<Validators> = LazyLock::new(|| {
    validators(|name| {
        let mut schema = schema(name);
        if name != "stored" {
            close(&mut schema);
        }
        schema
    })
});

/// Forbids what is not described, wherever a schema describes an object.
fn close(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.contains_key("properties") {
        members.entry("additionalProperties").or_insert(false.into());
    }
    // A rule of `allOf`, `if` and `else` is about members that are described outside of it.
    for (_, nested) in members.iter_mut().filter(|(keyword, _)| ["properties", "$defs"].contains(&keyword.as_str())) {
        nested.as_object_mut().into_iter().flatten().for_each(|(_, schema)| close(schema));
    }
    for (_, nested) in members.iter_mut().filter(|(keyword, _)| ["anyOf", "oneOf"].contains(&keyword.as_str())) {
        nested.as_array_mut().into_iter().flatten().for_each(close);
    }
    for keyword in ["items", "additionalProperties"] {
        members.get_mut(keyword).into_iter().for_each(close);
    }
}

/// What one of our messages does not keep to, undescribed members among it.
pub fn faults(name: &str, value: &Value) -> Vec<String> {
    faults_by(&CLOSED, name, value)
}

/// What a value does not keep to in a consumer's eyes.
pub fn faults_at_hq(name: &str, value: &Value) -> Vec<String> {
    faults_by(&SHIPPED, name, value)
}

fn faults_by(validators: &Validators, name: &str, value: &Value) -> Vec<String> {
    validators[name].iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[track_caller]
pub fn hold(name: &str, value: &Value) {
    for faults in [faults(name, value), faults_at_hq(name, value)] {
        assert!(faults.is_empty(), "{name}: {faults:#?}\n{value:#}");
    }
}

/// Holds a numbered event: its envelope, its data, and what one says of the other. Gives it as JSON.
#[track_caller]
pub fn hold_event(event_type: &str, body: &[u8]) -> Value {
    let event: Value = serde_json::from_slice(body).unwrap();
    hold("event", &event);
    let text = |name: &str| event[name].as_str().unwrap();
    // A greeting may stand on any topic.
    let event_type = if event["type"] == "tillbox.hello.v1" { "hello" } else { event_type };
    assert_eq!(text("type"), format!("tillbox.{event_type}.v1"), "the topic's last level");
    assert_eq!(text("dataschema"), schema(event_type)["$id"].as_str().unwrap());
    assert_eq!(event["data"]["schema"], event["type"]);
    hold(event_type, &event["data"]);
    if event_type == "hello" {
        return event;
    }
    let (stream, number) = text("id").split_once('.').unwrap();
    assert_eq!(stream, text("stream"));
    assert_eq!(format!("{number:0>20}"), text("sequence"));
    let source = text("source").strip_prefix("/outlets/").unwrap();
    let (outlet, connection) = source.split_once('/').map_or((source, None), |(outlet, name)| (outlet, Some(name)));
    assert_eq!(outlet, text("outlet"));
    assert_eq!(event["data"]["connection"].as_str(), connection);
    hold_subject(event_type, &event);
    event
}

fn hold_subject(event_type: &str, event: &Value) {
    let data = &event["data"];
    let member = |name: &str| data[name].as_str().unwrap();
    let subject = match event_type {
        "transaction" => format!("{}/{}", member("resource"), member("external_id")),
        "closing" => format!("closing/{}", member("business_date")),
        "quarantine" => format!("quarantine/{}", member("hash")),
        "gap" => format!("gap/{}/{}/{}", member("from"), member("to"), member("reason")),
        "notice" if data["record"].is_object() => {
            let record = |name: &str| data["record"][name].as_str().unwrap();
            format!("notice/{}/{}/{}", member("code"), record("resource"), record("external_id"))
        }
        "notice" => format!("notice/{}", member("code")),
        other => panic!("no rule for the subject of {other}"),
    };
    assert_eq!(event["subject"], subject);
    let content = if event_type == "transaction" {
        if data["flags"].as_array().unwrap().contains(&"items_omitted".into()) {
            // The content id is that of the whole record, which the event does not hold.
            return;
        }
        let record: Transaction = serde_json::from_str(&data.to_string()).unwrap();
        record.content_id()
    } else {
        ContentId::of_json(data)
    };
    assert_eq!(event["contentid"], content.to_string());
}
