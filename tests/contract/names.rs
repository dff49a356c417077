//! Every list of names in a schema is the code's: a new flag, reason or condition without a word to HQ fails here.

use std::{collections::BTreeSet, fs, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor, value::Error},
};
use serde_json::Value;
use tillbox::{
    gap::GapReason,
    health::Condition,
    instant::Precision,
    notice,
    pos::{body::JsonType, page::Reason},
    signal::Pattern,
    status::State,
    transaction::{
        CurrencySource, Direction, DiscountScope, Flag, Kind, PaymentStatus, Relation, Resource, SourceSystem, Status,
    },
};

use crate::contract::schema;

/// Hands nothing over; an enum asks it by the names of its variants, and that is what it is for.
struct Ask<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = variants;
        Err(Error::custom("only the names were asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("not an enum"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The names of an enum's variants, as they are written.
fn names_of<T: for<'de> Deserialize<'de>>() -> BTreeSet<String> {
    let mut names: &[&str] = &[];
    let _only_the_names_were_asked_for = T::deserialize(Ask(&mut names)).err();
    assert!(!names.is_empty());
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The variants themselves, in the order of their names.
pub fn variants<T: for<'de> Deserialize<'de>>() -> Vec<T> {
    names_of::<T>().into_iter().map(|name| serde_json::from_value(name.into()).unwrap()).collect()
}

/// The names that a schema lists at a JSON pointer, be it by `enum` or by one `const` each.
fn listed(name: &str, pointer: &str) -> BTreeSet<String> {
    let schema = schema(name);
    let place = schema.pointer(pointer).unwrap_or_else(|| panic!("{name}: nothing at {pointer}"));
    let names = match place.get("enum") {
        Some(list) => list.as_array().unwrap().clone(),
        None => place["oneOf"].as_array().unwrap().iter().map(|one| one["const"].clone()).collect(),
    };
    let set: BTreeSet<String> = names.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(set.len(), names.len(), "{name}{pointer}");
    set
}

#[track_caller]
fn same<T: for<'de> Deserialize<'de>>(places: &[(&str, &str)]) {
    for (name, pointer) in places {
        assert_eq!(listed(name, pointer), names_of::<T>(), "{name}{pointer}");
    }
}

#[test]
fn a_records_names_are_the_codes() {
    same::<Resource>(&[("transaction", "/$defs/resource"), ("quarantine", "/$defs/resource")]);
    same::<Kind>(&[("transaction", "/$defs/kind"), ("closing", "/$defs/kind")]);
    same::<SourceSystem>(&[("transaction", "/$defs/source_system"), ("status", "/$defs/connection/properties/system")]);
    same::<Status>(&[("transaction", "/properties/status")]);
    same::<PaymentStatus>(&[("transaction", "/properties/payment_status")]);
    same::<Precision>(&[("transaction", "/properties/timestamp_precision")]);
    same::<CurrencySource>(&[("transaction", "/properties/currency_source")]);
    same::<DiscountScope>(&[("transaction", "/$defs/discount/properties/scope")]);
    same::<Direction>(&[("transaction", "/$defs/payment/properties/direction")]);
    same::<Relation>(&[("transaction", "/$defs/related/properties/relation")]);
    same::<Flag>(&[("transaction", "/$defs/flag")]);
}

#[test]
fn what_is_told_of_trouble_has_the_codes_names() {
    same::<Reason>(&[("quarantine", "/properties/reason")]);
    same::<JsonType>(&[("quarantine", "/properties/found")]);
    same::<GapReason>(&[
        ("gap", "/$defs/gap_reason"),
        ("closing", "/$defs/gap_reason"),
        ("checkpoint", "/$defs/gap_reason"),
    ]);
    same::<State>(&[("status", "/properties/state")]);
    same::<Pattern>(&[("status", "/$defs/pattern")]);
    same::<Condition>(&[("status", "/$defs/condition_code")]);
    let codes: BTreeSet<String> = Condition::ALL.iter().map(|condition| condition.code().to_owned()).collect();
    assert_eq!(codes, names_of::<Condition>(), "Condition::ALL and Condition::code");
    let of_notices: BTreeSet<String> =
        codes.into_iter().chain(notice::CODES.iter().map(|code| (*code).to_owned())).collect();
    assert_eq!(listed("notice", "/properties/code"), of_notices);
}

/// Nothing but a look at the sources finds a notice that is told once in a year.
#[test]
fn every_notice_in_the_sources_has_a_code_that_hq_knows() {
    let known = listed("notice", "/properties/code");
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Unit tests tell what they like.
            let name = path.to_string_lossy();
            if name.contains("/tests") || name.ends_with("/fixture.rs") {
                continue;
            }
            for told in fs::read_to_string(&path).unwrap().split("Notice::new(").skip(1) {
                let Some(code) = told.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                    continue;
                };
                found += 1;
                assert!(known.contains(code), "{name}: the notice `{code}` is not in notice::CODES and HQ's schema");
            }
        }
    }
    assert!(found >= 4, "the sources name {found} notices: is `Notice::new(` still how they do it?");
}

#[test]
fn the_envelopes_types_are_the_codes() {
    use tillbox::event::EventType;

    let types = EventType::ALL.iter().map(|event_type| event_type.name()).chain(["hello"]);
    let types: BTreeSet<String> = types.map(|name| format!("tillbox.{name}.v1")).collect();
    assert_eq!(listed("event", "/properties/type"), types);
    let schemas: BTreeSet<String> = listed("event", "/properties/dataschema")
        .iter()
        .map(|urn| urn.replace("urn:tillbox:schema", "tillbox"))
        .collect();
    assert_eq!(schemas, types.iter().map(|name| name.replace('.', ":")).collect());
}

/// The same thing told in two schemas is told in the same words.
#[test]
fn shared_definitions_agree() {
    let mut known: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
    for name in crate::contract::NAMES {
        for (definition, told) in schema(name)["$defs"].as_object().cloned().unwrap_or_default() {
            let first = known.entry(definition.clone()).or_insert_with(|| told.clone());
            assert_eq!(*first, told, "{name}: $defs/{definition}");
        }
    }
}
