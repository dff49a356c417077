use proptest::prelude::*;
use serde_json::json;

use super::*;

fn elements(list: &[u8]) -> Vec<&str> {
    let Parts { parts, stopped } = Raw::of(list).elements();
    assert_eq!(stopped, None, "{}", String::from_utf8_lossy(list));
    parts.into_iter().map(|part| str::from_utf8(part.bytes()).unwrap_or("no UTF-8")).collect()
}

/// Which of a list's elements can be read, by their `id`.
fn readable(list: &[u8]) -> Vec<u64> {
    let read = |raw: &Raw<'_>| raw.object().and_then(|members| members.get("id")?.as_u64());
    Raw::of(list).elements().parts.iter().filter_map(read).collect()
}

#[test]
fn a_list_is_cut_at_its_commas() {
    assert_eq!(elements(b"[]"), Vec::<&str>::new());
    assert_eq!(elements(b" [ ] "), Vec::<&str>::new());
    assert_eq!(
        elements(b"[1, \"a,]\\\"\" ,{\"a\": [1,2]},[], null]"),
        ["1", "\"a,]\\\"\"", "{\"a\": [1,2]}", "[]", "null"]
    );
    assert_eq!(elements(b"[1,]"), ["1"]);
}

#[test]
fn an_object_of_indexes_is_a_list() {
    let php = br#"{"0": {"id": 1}, "2": {"id": 2}}"#;
    assert!(Raw::of(php).is_list());
    assert_eq!(readable(php), [1, 2]);
    assert!(!Raw::of(b"{}").is_list() && !Raw::of(br#"{"id": 1}"#).is_list());
}

#[test]
fn what_breaks_off_says_so_and_gives_what_is_whole() {
    let cut = Raw::of(br#"[{"id": 1}, {"id": 2}, {"id": 3"#).elements();
    assert_eq!((cut.parts.len(), cut.stopped), (2, Some(Uncut::Cut)));
    let cut = Raw::of(br#"{"rows": [{"id": 1}, {"id"#).members();
    assert_eq!(cut.stopped, Some(Uncut::Cut));
    assert_eq!(readable(cut.parts[0].1.bytes()), [1]);
    assert_eq!(Raw::of(b"[1] 2").elements().stopped, Some(Uncut::At(4)));
    assert_eq!(Raw::of(b"{7}").members().stopped, Some(Uncut::At(1)));
}

/// Each spoils the second of three records, and no other.
#[test]
fn a_spoilt_record_spoils_no_neighbour() {
    for spoilt in [
        &b"{\"id\": NaN}"[..],
        b"{\"id\": 2, \"total\": NaN}",
        b"{\"id\": 2, \"items\": [{\"qty\": 1, {\"qty\": 2}]",
        b"{\"id\": 2, \"items\": [{\"qty\": 1]}",
        b"{\"id\": 2, \"name\": \"Kopi \"Susu\"\"}",
        b"{\"id\": 2",
        b"{\"id\": 2}}",
        b"{id: 2}",
        b"{'id': 2}",
        b"{\"id\": 2, }",
        b"{\"id\" 2}",
        b"\xff",
    ] {
        let list = [b"[{\"id\": 1},", spoilt, b",{\"id\": 3}]"].concat();
        assert_eq!(readable(&list), [1, 3], "{}", String::from_utf8_lossy(&list));
    }
}

#[test]
fn damaged_text_is_mended_and_nothing_else() {
    let mended = |bytes: &[u8]| Raw::of(bytes).read().map(|read| (read.value, read.mended));
    for (bytes, value) in [
        (&b"\"Kopi \xe9\""[..], "Kopi \u{fffd}"),
        (b"\"\xf0\x9f\x98\"", "\u{fffd}"),
        (b"\"a\tb\nc\0\"", "a\tb\nc\0"),
        (br#""\ud83d""#, "\u{fffd}"),
        (br#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
        (br#""\ud83d\u0041""#, "\u{fffd}A"),
        (br#""Kopi\'s \x \u12""#, r"Kopi\'s \x \u12"),
        (b"\"\\\" \xff \\\\\"", "\" \u{fffd} \\"),
    ] {
        assert_eq!(mended(bytes), Ok((json!(value), true)), "{}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(mended(br#""\ud83d\ude00 \t""#), Ok((json!("\u{1f600} \t"), false)));
    for bytes in [&b"NaN"[..], b"{\"a\": \xff}", b"1.", b"\"open", b"", b"{\"a\": 1,}"] {
        assert_eq!(mended(bytes), Err(Unreadable::NotJson), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn what_is_large_in_memory_is_not_read() {
    let many = format!("[{}1]", "1,".repeat(VALUES_MAX));
    assert_eq!(Raw::of(many.as_bytes()).read(), Err(Unreadable::TooMany));
    let few = format!("[{}1]", "1,".repeat(VALUES_MAX - 2));
    assert_eq!(Raw::of(few.as_bytes()).read().map(|read| read.values), Ok(VALUES_MAX));
    let commas = format!("\"{}\"", ",".repeat(VALUES_MAX * 2));
    assert!(Raw::of(commas.as_bytes()).read().is_ok(), "commas in a text are no values");
    let large = format!("\"{}\"", "x".repeat(RECORD_MAX_BYTES));
    assert_eq!(Raw::of(large.as_bytes()).read(), Err(Unreadable::TooLarge));
    let elements = format!("[{}1]", "1,".repeat(ELEMENTS_MAX));
    let parts = Raw::of(elements.as_bytes()).elements();
    assert_eq!((parts.parts.len(), parts.stopped), (ELEMENTS_MAX, Some(Uncut::TooMany)));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}|[\"\\\\,\\[\\]{}:]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\]{1,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![
        any::<u8>(),
        prop::sample::select(&b"[]{}\",:\\ 1nu"[..]),
    ], 0..200)) {
        let raw = Raw::of(&bytes);
        let _ = (raw.read(), raw.members(), raw.elements(), raw.is_list(), raw.json_type());
    }

    #[test]
    fn sound_json_is_cut_as_it_is_read(values in prop::collection::vec(any_json(), 0..6)) {
        let list = serde_json::to_vec(&values).expect("JSON");
        let parts = Raw::of(&list).elements();
        prop_assert_eq!(parts.stopped, None);
        let read: Vec<_> = parts.parts.iter().map(|part| part.read().expect("sound")).collect();
        prop_assert!(read.iter().all(|read| !read.mended));
        prop_assert_eq!(read.into_iter().map(|read| read.value).collect::<Vec<_>>(), values);
    }

    #[test]
    fn one_byte_that_is_no_structure_spoils_one_record_at_most(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>().prop_filter("structure", |byte| !b"[]{},\"\\".contains(byte)),
        which in 0_usize..5,
    ) {
        let record = |id: usize| json!({"id": id, "total": "12500.50", "items": [{"name": "Kopi \"Susu\"", "qty": 2}]});
        let mut records: Vec<Vec<u8>> = (0..5).map(|id| record(id).to_string().into_bytes()).collect();
        let spoilt = &mut records[which];
        let at = at.index(spoilt.len());
        prop_assume!(!b"[]{},\"\\".contains(&spoilt[at]));
        spoilt[at] = byte;
        let list = [&b"["[..], &records.join(&b','), b"]"].concat();
        let read = readable(&list);
        for id in (0..5).filter(|id| *id != which) {
            prop_assert!(read.contains(&(id as u64)), "{}", String::from_utf8_lossy(&list));
        }
    }
}
