//! The documents by themselves: valid, described, strict, and without a reference that leads nowhere.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};
use tillbox::{
    content::{ContentId, canonical_text},
    event::{EventType, StreamId},
    outbox::{chain_begin, chain_next},
};

use crate::contract::{NAMES, document, faults, faults_at_hq, folder, hold, schema};

/// Every object in a document, with its JSON pointer.
fn each_object(value: &Value, at: &str, look: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            look(at, members);
            for (name, member) in members {
                each_object(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), look);
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, element)| each_object(element, &format!("{at}/{n}"), look));
        }
        _ => {}
    }
}

#[test]
fn each_schema_is_one_and_bears_the_name_that_events_give_it() {
    for name in NAMES {
        let schema = schema(name);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], format!("urn:tillbox:schema:{name}:v1"));
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
    }
    let shipped: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".schema.json").map(str::to_owned))
        .collect();
    assert_eq!(shipped, NAMES.map(str::to_owned).into());
    for event_type in EventType::ALL {
        assert!(NAMES.contains(&event_type.name()));
    }
}

#[test]
fn each_field_is_described_and_no_object_is_closed() {
    for name in NAMES {
        let schema = schema(name);
        each_object(&schema, "", &mut |at, members| {
            // Below a condition stands no field, but a rule about one.
            if at.contains("/if") || at.contains("/then") || at.contains("/else") {
                return;
            }
            // A later version may say more: whoever reads an older schema must not refuse that.
            assert!(!members.get("additionalProperties").is_some_and(Value::is_boolean), "{name}{at}");
            let Some(properties) = members.get("properties").and_then(Value::as_object) else { return };
            for (field, told) in properties {
                assert!(told["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}{at}: {field}");
            }
        });
    }
}

#[test]
fn each_reference_leads_somewhere() {
    let mut files: Vec<String> = NAMES.iter().map(|name| format!("{name}.schema.json")).collect();
    files.push("asyncapi.json".to_owned());
    for file in files {
        let whole = document(&file);
        each_object(&whole, "", &mut |at, members| {
            let Some(reference) = members.get("$ref").and_then(Value::as_str) else { return };
            let (other, pointer) = reference.split_once('#').unwrap_or((reference, ""));
            let found = match other.strip_prefix("./") {
                Some(other) => document(other).pointer(pointer).is_some(),
                None => other.is_empty() && whole.pointer(pointer).is_some(),
            };
            assert!(found, "{file}{at}: {reference}");
        });
    }
}

#[test]
fn the_channels_are_the_topics() {
    let asyncapi = document("asyncapi.json");
    assert_eq!(asyncapi["asyncapi"], "3.0.0");
    let addresses: BTreeSet<&str> = asyncapi["channels"]
        .as_object()
        .unwrap()
        .values()
        .map(|channel| channel["address"].as_str().unwrap())
        .collect();
    let below = |rest: String| format!("{{prefix}}/{{outlet}}/{rest}");
    let mut topics: BTreeSet<String> =
        EventType::ALL.iter().map(|event_type| below(format!("events/{}", event_type.name()))).collect();
    topics.extend(["events/hello", "status", "checkpoint", "stored"].map(|topic| below(topic.to_owned())));
    assert_eq!(addresses, topics.iter().map(String::as_str).collect());
    for event_type in EventType::ALL {
        // A greeting proves each topic.
        let name = event_type.name();
        assert!(asyncapi["channels"][name]["messages"]["hello"].is_object(), "{name}");
        let greeting = json!({ "$ref": format!("#/channels/{name}/messages/hello") });
        let operations = asyncapi["operations"].as_object().unwrap().values();
        let mut receives = operations.filter(|of| of["channel"]["$ref"] == format!("#/channels/{name}"));
        assert!(receives.all(|of| of["messages"].as_array().unwrap().contains(&greeting)), "{name}");
    }
    for (name, operation) in asyncapi["operations"].as_object().unwrap() {
        let retained = ["Status", "Checkpoint", "Stored"].iter().any(|end| name.ends_with(end));
        assert_eq!(operation["bindings"]["mqtt"]["retain"], retained, "{name}");
        assert_eq!(operation["bindings"]["mqtt"]["qos"], 1, "{name}");
        assert_eq!(operation["action"], if name == "sendStored" { "send" } else { "receive" }, "{name}");
    }
}

#[test]
fn the_schemas_refuse_what_is_no_exact_amount() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../fixtures/content-ids.json")).unwrap();
    for vector in &vectors {
        hold("transaction", &vector["record"]);
    }
    let record = &vectors[0]["record"];
    let with = |text: &str| {
        let mut record = record.clone();
        record["amount"] = text.into();
        record["amounts"]["net_total"] = text.into();
        faults("transaction", &record).len()
    };
    for (text, refused) in [("0", 0), ("0.05", 0), ("10", 0), ("100.01", 0), ("9999999999999999999999999999", 0)] {
        assert_eq!(with(text), refused, "{text}");
    }
    assert_eq!(with("-5"), 1, "only the total is a magnitude by rule");
    for text in ["", "-0", "+1", "1e3", "1.0", "1.50", "01", "00", ".5", "5.", "1,5", "0.0", "-0.0", "1\n", "NaN"] {
        assert_eq!(with(text), 2, "{text:?}");
    }
    let mut unknown = record.clone();
    unknown["tip"] = "1".into();
    assert_eq!(faults("transaction", &unknown).len(), 1, "no mistake of ours passes");
    assert!(faults_at_hq("transaction", &unknown).is_empty(), "and HQ passes over it");
    unknown.as_object_mut().unwrap().remove("tip");
    unknown["extra"]["tip"] = "1".into();
    hold("transaction", &unknown);
}

#[track_caller]
fn shows(guide: &str, what: &str) {
    assert!(guide.contains(what), "docs/contract/README.md does not show {what}");
}

/// What the guide works out by hand.
#[test]
fn the_examples_in_the_guide_hold() {
    let guide = fs::read_to_string(folder().join("README.md")).unwrap();
    let stream = StreamId::parse("00112233445566778899aabbccddeeff").unwrap();
    let begin = chain_begin(stream);
    let contents = [ContentId::of_bytes(b"a"), ContentId::of_bytes(b"b")];
    let first = chain_next(begin, contents[0]);
    let second = chain_next(first, contents[1]);
    for hash in [begin, contents[0], contents[1], first, second] {
        shows(&guide, &hash.to_string());
    }
    let lines = format!("transaction/A-1 {}\ntransaction/A-10 {}\n", contents[0], contents[1]);
    shows(&guide, &lines);
    shows(&guide, &ContentId::of_bytes(lines.as_bytes()).to_string());

    let vectors: Vec<Value> = serde_json::from_str(include_str!("../fixtures/content-ids.json")).unwrap();
    let id = vectors[0]["content_id"].as_str().unwrap();
    shows(&guide, id);
    let text = guide.lines().map(str::trim).find(|line| line.starts_with(r#"{"amount":"#)).unwrap();
    assert_eq!(ContentId::of_bytes(text.as_bytes()).to_string(), id);
    assert_eq!(canonical_text(&serde_json::from_str(text).unwrap()), text);
}
