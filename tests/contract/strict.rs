//! The schemas compile in the strict mode of validators that have one (ajv: `strict`, `strictTypes`, `strictTuples`,
//! `strictRequired`, without plugins): every keyword is known, stands beside its type, and names what is described.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::contract::{NAMES, document, schema};

/// Keywords that are used, with the type beside which each must stand. `format` is none: a validator without its plugin
/// refuses it.
const KEYWORDS: [(&str, Option<&str>); 29] = [
    ("$schema", None),
    ("$id", None),
    ("$defs", None),
    ("$ref", None),
    ("title", None),
    ("description", None),
    ("examples", None),
    ("default", None),
    ("type", None),
    ("const", None),
    ("enum", None),
    ("allOf", None),
    ("anyOf", None),
    ("oneOf", None),
    ("not", None),
    ("if", None),
    ("then", None),
    ("else", None),
    ("properties", Some("object")),
    ("required", Some("object")),
    ("propertyNames", Some("object")),
    ("additionalProperties", Some("object")),
    ("items", Some("array")),
    ("uniqueItems", Some("array")),
    ("pattern", Some("string")),
    ("minLength", Some("string")),
    ("maxLength", Some("string")),
    ("minimum", Some("integer")),
    ("maximum", Some("integer")),
];

/// What holds for a value by the schemas around the one that is looked at.
#[derive(Clone, Default)]
struct Around {
    of_type: Option<String>,
    described: BTreeSet<String>,
}

fn look(at: &str, schema: &Value, around: &Around) {
    let Value::Object(members) = schema else {
        assert!(schema.is_boolean(), "{at}: {schema}");
        return;
    };
    let mut here = around.clone();
    if let Some(told) = members.get("type") {
        // One type: of several a strict validator wants to be told twice.
        here.of_type = Some(told.as_str().unwrap_or_else(|| panic!("{at}: {told}")).to_owned());
    }
    let described = members.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned();
    here.described.extend(described);
    for (keyword, told) in members {
        let known = KEYWORDS.iter().find(|(name, _)| name == keyword);
        let (_, needs) = known.unwrap_or_else(|| panic!("{at}: `{keyword}` is no known keyword"));
        if let Some(needs) = needs {
            assert_eq!(here.of_type.as_deref(), Some(*needs), "{at}: `{keyword}` without its type");
        }
        let at = format!("{at}/{keyword}");
        let each = |of: &Around| {
            for (name, nested) in told.as_object().into_iter().flatten() {
                look(&format!("{at}/{name}"), nested, of);
            }
        };
        match keyword.as_str() {
            "properties" | "$defs" => each(&Around::default()),
            "items" | "propertyNames" | "additionalProperties" => {
                let of_type = (keyword == "propertyNames").then(|| "string".to_owned());
                look(&at, told, &Around { of_type, ..Around::default() });
            }
            "allOf" | "anyOf" | "oneOf" => told.as_array().unwrap().iter().for_each(|nested| look(&at, nested, &here)),
            "if" | "then" | "else" | "not" => look(&at, told, &here),
            "required" => {
                for name in told.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
                    assert!(here.described.contains(name), "{at}: `{name}` is described nowhere");
                }
            }
            _ => {}
        }
    }
    assert!(!members.contains_key("if") || members.contains_key("then") || members.contains_key("else"), "{at}");
    assert!(members.contains_key("if") || !members.contains_key("then") && !members.contains_key("else"), "{at}");
}

#[test]
fn the_schemas_compile_in_strict_mode() {
    for name in NAMES {
        look(name, &schema(name), &Around::default());
    }
    for (name, message) in document("asyncapi.json")["components"]["messages"].as_object().unwrap() {
        let payload = &message["payload"];
        look(name, payload.get("schema").unwrap_or(payload), &Around::default());
    }
}
