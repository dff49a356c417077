//! What the page, the metrics and the text for a person say.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use chrono::TimeDelta;
use tillbox::{
    board::profile::Light,
    health::Condition,
    overview::{Overview, Standing, text, told},
    page::{html, metrics, write::Escaped},
    signal::{Lights, Pattern},
    texts::{Language, conditions},
};

use crate::{browser::style_sha256, fixture, jakarta};

fn pages(overview: &Overview) -> [String; 2] {
    Language::ALL.map(|language| html::page(overview, &jakarta(), language))
}

#[test]
fn the_page_says_how_it_stands_in_both_languages() {
    let [english, indonesian] = pages(&fixture::healthy());
    for part in [
        "<html lang=en>",
        "<title>Till box of Warung Sabang</title>",
        "All sales are at headquarters.",
        "Nothing to do.",
        "14:42<small>3 min ago",
        "nothing waits",
        "headquarters has confirmed all that was sent",
        "Paper and printer are fine.",
        "Works",
        "mqtts://mqtt.hq.example:8883 (MQTT 5)",
        "0 bytes of 192 MiB (0 %)",
        "512 MiB (outbox.max-size)",
        "Warung Sabang, Menteng (qasir)",
        "21 GiB",
        "agrees with the point of sale",
        "48.3 °C",
        "9 d 2 h ago",
        "Nothing needs attention.",
        "397 sales in the last 24 hours, 397 of them at headquarters",
        "Asia/Jakarta",
        "href=\"?lang=id\"",
    ] {
        assert!(english.contains(part), "{part}: {english}");
    }
    for part in ["<html lang=id>", "Semua penjualan sudah sampai di kantor pusat.", "48,3 °C", "href=\"?lang=en\""] {
        assert!(indonesian.contains(part), "{part}: {indonesian}");
    }

    let [english, _] = pages(&fixture::holding());
    for part in [
        "Headquarters cannot be reached; sales are kept safe in the box.",
        "Go on selling.",
        ">83<",
        "time until all is delivered: unknown; the oldest is of 12:00",
        "Sales wait in the box.",
        "connection refused",
        "since 11:58 (2 h 47 min ago)",
    ] {
        assert!(english.contains(part), "{part}: {english}");
    }

    let mut draining = fixture::holding();
    draining.outbox.as_mut().expect("an outbox").drained_in_s = Some(190);
    assert!(pages(&draining)[0].contains("about 3 min until all is delivered"));
}

#[test]
fn what_comes_from_outside_does_nothing() {
    let [english, indonesian] = pages(&fixture::faulty());
    assert!(english.contains("Dapur &lt;b&gt;Sabang&lt;/b&gt; &amp; Co (pos-kasir)") && !english.contains("<b>Sabang"));
    assert!(english.contains("write a new token to /etc/tillbox/qasir.token"));
    assert!(english.contains("95 s ahead of the point of sale"));
    assert!(english.contains("Intervals not proven complete: 1") && english.contains("put aside: 2"));
    assert!(english.contains("The receipt printer is running low on paper."));
    assert!(indonesian.contains("Kertas printer struk hampir habis."));
    for page in pages(&fixture::worst()) {
        assert!(!page.contains("<script"), "{page}");
    }
}

#[test]
fn the_longest_page_is_below_its_bound_and_whole() {
    for overview in [fixture::healthy(), fixture::holding(), fixture::faulty(), fixture::worst()] {
        for page in pages(&overview) {
            assert!(page.len() <= html::PAGE_MAX_BYTES, "{} bytes", page.len());
            assert!(page.contains("<th scope=row>Ver") && page.ends_with("</footer></body></html>"));
            for tag in ["section", "article", "ul", "details", "svg", "dl", "table", "small", "div", "main"] {
                let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
                assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
            }
        }
    }
    // As many connections as the config allows.
    let mut crowd = fixture::worst();
    crowd.connections = (0..32).map(|n| fixture::connection(&format!("till-{n}"), "qasir", "x")).collect();
    assert!(pages(&crowd).iter().all(|page| page.len() <= html::PAGE_MAX_BYTES));
    let typical = pages(&fixture::healthy());
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(!html::page(&fixture::faulty(), &jakarta(), Language::English).is_empty());
    }
    eprintln!(
        "page: healthy {} / {} bytes, faulty {}, worst {}; {} µs to write",
        typical[0].len(),
        typical[1].len(),
        pages(&fixture::faulty())[0].len(),
        pages(&fixture::worst())[0].len(),
        begun.elapsed().as_micros() / 200
    );
}

#[test]
fn a_box_that_knows_nothing_yet_says_so() {
    let mut overview = fixture::healthy();
    overview.lights = tillbox::signal::Lights { sync: Pattern::Fast, ..tillbox::signal::Lights::DARK };
    overview.hq.standing = Standing::Starting;
    (overview.outbox, overview.sales, overview.name, overview.disk_free_bytes) = (None, None, None, None);
    overview.connections.clear();
    overview.temperature_millicelsius = None;
    let [english, indonesian] = pages(&overview);
    assert!(english.contains("The box is starting.") && english.contains("unknown") && english.contains("jkt-014"));
    assert!(indonesian.contains("Boks sedang bersiap.") && indonesian.contains("belum diketahui"));
    check(&metrics::metrics(&overview));
    assert!(text::status(&overview, &jakarta()).contains("outbox   the store is not open"));
}

#[test]
fn the_policy_names_the_pages_own_style() {
    let [page, _] = pages(&fixture::healthy());
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("a style").0;
    assert_eq!(html::STYLE_SHA256, style_sha256(style), "write this hash into html.rs");
}

#[test]
fn the_text_for_a_person_names_everything() {
    let text = text::status(&fixture::faulty(), &jakarta());
    for part in [
        "outlet   jkt-014 (Warung Sabang), Asia/Jakarta",
        "state    The box needs a technician.",
        "cause    The point of sale does not let the box in, or cannot be trusted.\nremedy   The technician does what the cause says",
        "light    sync  blinks slowly",
        "hq       mqtts://mqtt.hq.example:8883: does not work; it is tried again, since 11:58 (2 h 47 min ago)",
        "  !      hq_unreachable: mqtts://mqtt.hq.example:8883: connection refused (since 11:58 (2 h 47 min ago))",
        "pos      front (qasir): needs a technician",
        "write a new token to /etc/tillbox/qasir.token (since 13:53 (52 min ago), 3 times lately)",
        "note: this system does not tell refunds of single items",
        "outbox   83 events wait for the broker",
        "the oldest is of 12:00",
        "60 KiB of 192 MiB used by what waits (0 %); 1.7 MiB by delivered events that are kept",
        "outbox.max-size is 512 MiB",
        "gaps     1 interval is not proven complete",
        "kitchen: 08:05 (6 h 40 min ago) to 08:25 (6 h 20 min ago), truncated",
        "aside    2 records are put aside, as they cannot be read",
        "disk     21 GiB free",
        "clock    95 s ahead of the point of sale's",
        "heat     48.3 °C",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn an_overview_survives_its_way_over_the_socket() {
    for overview in [fixture::healthy(), fixture::faulty(), fixture::worst()] {
        let line = serde_json::to_string(&overview).expect("JSON");
        assert_eq!(serde_json::from_str::<Overview>(&line).expect("the same"), overview);
    }
}

#[test]
fn metrics_are_in_the_format_and_tell_what_holds() {
    let mut odd = fixture::faulty();
    odd.outlet = "a\\b\"c\nd".to_owned();
    odd.temperature_millicelsius = Some(-1_050);
    assert!(metrics::metrics(&odd).contains("outlet=\"a\\\\b\\\"c\\nd\""));
    for overview in [fixture::healthy(), fixture::holding(), fixture::worst(), odd] {
        check(&metrics::metrics(&overview));
    }
    let values = check(&metrics::metrics(&fixture::holding()));
    let value = |name: &str| values.get(name).map(String::as_str);
    assert_eq!(value("tillbox_outbox_waiting_for_broker_events"), Some("83"));
    assert_eq!(value("tillbox_outbox_waiting_for_hq_events"), Some("0"));
    assert_eq!(value("tillbox_events_stored_total"), Some("48294"));
    assert_eq!(value("tillbox_broker_connected"), Some("0"));
    assert_eq!(value("tillbox_outbox_drained_in_seconds"), None, "what is unknown is left out");
    assert_eq!(value("tillbox_light{line=\"hold\",pattern=\"steady\"}"), Some("1"));
    assert_eq!(value("tillbox_condition{code=\"hq_unreachable\",connection=\"\"}"), Some("1"));
    assert_eq!(value("tillbox_pos_up{connection=\"front\",system=\"qasir\"}"), Some("1"));
    assert_eq!(value("tillbox_temperature_celsius"), Some("48.312"));
    let up = (fixture::now() - TimeDelta::minutes(9 * 24 * 60 + 130)).timestamp().to_string();
    assert_eq!(value("tillbox_start_time_seconds"), Some(up.as_str()));
}

/// Every text that a person or a machine gets of a box.
fn everything(overview: &Overview) -> String {
    let [english, indonesian] = pages(overview);
    let text = text::status(overview, &jakarta());
    [english, indonesian, text, metrics::metrics(overview)].join("\n")
}

/// What claims that a sale is at headquarters, in either language.
const CLAIMS: [&str; 7] =
    ["at headquarters", "at HQ", "at=\"hq\"", "headquarters has", "confirmed", "di kantor pusat", "mengonfirmasi"];

#[test]
fn by_the_brokers_word_alone_nothing_is_said_to_be_at_headquarters() {
    let mut boxes = vec![fixture::healthy(), fixture::holding(), fixture::faulty()];
    boxes.extend(BY_THE_LINE.map(fixture::with));
    for overview in boxes.into_iter().map(fixture::by_broker) {
        // What a condition means and asks for is told by itself, and has its own tests.
        let mut told = everything(&overview);
        for advice in overview.conditions.iter().filter_map(|trouble| conditions::advice(&trouble.code)) {
            for part in [advice.meaning, advice.to_do] {
                for language in Language::ALL {
                    told = told.replace(part.of(language), "");
                    told = told.replace(&Escaped(part.of(language)).to_string(), "");
                }
            }
        }
        for claim in CLAIMS {
            let at = told.find(claim);
            let around = at.map(|at| told.get(at.saturating_sub(80)..at + 80));
            assert!(at.is_none(), "{claim}: {around:?}");
        }
    }
    let healthy = fixture::by_broker(fixture::healthy());
    let [english, indonesian] = pages(&healthy);
    for part in [
        "All sales are with the broker.",
        "Last sale with the broker",
        "397 sales in the last 24 hours, 397 of them with the broker",
        "the broker has them",
    ] {
        assert!(english.contains(part), "{part}: {english}");
    }
    assert!(indonesian.contains("Semua penjualan sudah diterima broker."), "{indonesian}");
    assert!(!english.contains("Waiting for headquarters"), "nobody confirms there");
    let told = text::status(&healthy, &jakarta());
    for part in
        ["state    All sales are with the broker.", "nothing waits: the broker has every event", "last with the broker"]
    {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let values = check(&metrics::metrics(&healthy));
    assert!(values.contains_key("tillbox_last_sale_timestamp_seconds{at=\"broker\"}"));
    assert!(!values.contains_key("tillbox_outbox_waiting_for_hq_events"), "what is not known is left out");
}

#[test]
fn what_hq_has_not_confirmed_is_with_the_broker_and_no_more() {
    let silent = fixture::with(Condition::FeedSilent);
    let [english, indonesian] = pages(&silent);
    for part in [
        "the broker has it; headquarters has not confirmed it; time until all is delivered: unknown",
        "The broker has the sales; headquarters has not confirmed all of them.",
        "The broker has sales that headquarters has not confirmed",
        "Waiting for headquarters' word<dd>7",
        "Sales are kept here; tries again",
    ] {
        assert!(english.contains(part), "{part}: {english}");
    }
    assert!(indonesian.contains("broker sudah menerimanya; kantor pusat belum mengonfirmasi"), "{indonesian}");
    assert!(!everything(&silent).contains("All sales are"));
    let told = text::status(&silent, &jakarta());
    for part in [
        "outbox   7 events wait for headquarters' word: the broker has them; headquarters has not confirmed them",
        "headquarters' word is waited for since 14:25",
        "sales are kept here; it is tried again, since",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let values = check(&metrics::metrics(&silent));
    assert_eq!(values["tillbox_outbox_undelivered_events"], "7");
    assert_eq!(values["tillbox_outbox_waiting_for_hq_events"], "7");
    assert_eq!(values["tillbox_broker_connected"], "1", "the line stands, though nothing comes of it");
}

const BY_THE_LINE: [Condition; 9] = [
    Condition::NobodyListens,
    Condition::NotAcknowledged,
    Condition::FeedSilent,
    Condition::ClockUnproven,
    Condition::BrokerForgot,
    Condition::StoreSetAside,
    Condition::EventReduced,
    Condition::BrokerUnfit,
    Condition::LinkFailed,
];

/// The light that says most names what holds, in the condition's own words; only red says whom to call.
#[test]
fn a_cause_that_is_known_is_named() {
    for condition in BY_THE_LINE {
        let overview = fixture::with(condition);
        let advice = conditions::advice(condition.code()).expect("its advice");
        for (language, page) in Language::ALL.into_iter().zip(pages(&overview)) {
            let told = told::gravest(&overview, language);
            let named = Escaped(advice.meaning.of(language)).to_string();
            assert!(page.contains(&named), "{condition:?}: {page}");
            let is_lit_by_it = !condition.needs_technician() && condition != Condition::EventReduced;
            assert_eq!(is_lit_by_it, told.meaning == advice.meaning.of(language), "{condition:?}: {told:?}");
            if is_lit_by_it {
                assert!(told.to_do.ends_with(advice.to_do.of(language)), "{condition:?}: {told:?}");
            }
        }
        assert!(!everything(&overview).contains("or the box is nearly full"), "{condition:?}");
    }

    let mut full = fixture::holding();
    full.lights.hold = Pattern::Fast;
    full.outbox.as_mut().expect("an outbox").queued_bytes = 160 << 20;
    let told = told::gravest(&full, Language::English);
    assert_eq!(told.meaning, "The box's room for waiting sales is 83 % full.");
    (full.open_gaps, full.put_aside_lately) = (2, true);
    let told = told::gravest(&full, Language::English);
    let named = "Some sales are not proven complete. Some records cannot be read and are put aside. The box's room";
    assert!(told.meaning.starts_with(named), "{told:?}");
}

/// Whoever is called reads there what it is about and what helps, as the page says it.
#[test]
fn in_red_the_text_names_each_cause_with_its_remedy() {
    let mut overview = fixture::with(Condition::PublishDenied);
    overview.conditions.push(fixture::trouble(Condition::ClockWrong, Some("front"), "one of them is wrong", 3));
    let told = text::status(&overview, &jakarta());
    for condition in [Condition::PublishDenied, Condition::ClockWrong] {
        let advice = conditions::advice(condition.code()).expect("its advice");
        let [cause, remedy] = [advice.meaning, advice.to_do].map(|text| text.of(Language::English));
        assert!(told.contains(&format!("cause    {cause}\nremedy   {remedy}\n")), "{told}");
    }
    let calm = text::status(&fixture::holding(), &jakarta());
    assert!(!calm.contains("\ncause ") && !calm.contains("\nremedy "), "{calm}");
}

/// What red is lit for keeps the sales here as well: yellow does not look for the fault at the internet then.
#[test]
fn yellow_names_what_red_is_lit_for() {
    for condition in [Condition::PublishDenied, Condition::OutletConflict, Condition::BrokerUnfit] {
        let overview = fixture::with(condition);
        let advice = conditions::advice(condition.code()).expect("its advice");
        for language in Language::ALL {
            let yellow = told::told(&overview, Light::Hold, language);
            assert_eq!(yellow.meaning, advice.meaning.of(language), "{condition:?}");
            assert!(yellow.to_do.ends_with(advice.to_do.of(language)), "{condition:?}: {yellow:?}");
        }
        let told = everything(&overview);
        assert!(!told.contains("Check the internet connection") && !told.contains("cannot be delivered now"), "{told}");
    }
}

#[test]
fn a_sale_that_went_without_its_items_is_told_beside_green() {
    for overview in [fixture::with(Condition::EventReduced), fixture::by_broker(fixture::with(Condition::EventReduced))]
    {
        let advice = conditions::advice(Condition::EventReduced.code()).expect("its advice");
        for language in Language::ALL {
            let told = told::gravest(&overview, language);
            assert!(told.to_do.ends_with(advice.to_do.of(language)), "{told:?}");
        }
        assert!(!everything(&overview).contains("Nothing to do"));
    }
    assert!(everything(&fixture::healthy()).contains("Nothing to do"));
}

#[test]
fn where_nothing_was_confirmed_nobody_says_that_it_was() {
    let all_confirmed = "headquarters has confirmed all that was sent";
    assert!(pages(&fixture::healthy())[0].contains(all_confirmed));
    let mut first = fixture::healthy();
    let queue = first.outbox.as_mut().expect("an outbox");
    (queue.durable, queue.acknowledged, queue.released) = (0, 0, 0);
    assert!(!pages(&first)[0].contains(all_confirmed));
    assert!(text::status(&first, &jakarta()).contains("nothing waits: there is no event yet"));
    let nobody = fixture::with(Condition::NobodyListens);
    assert!(!pages(&nobody)[0].contains(all_confirmed), "nobody is there");
}

/// With the broker's word an event is let go a while after it was taken; until then it still takes its room.
#[test]
fn what_has_just_left_is_not_said_to_wait() {
    let mut overview = fixture::by_broker(fixture::healthy());
    let queue = overview.outbox.as_mut().expect("an outbox");
    (queue.released, queue.queued_bytes, queue.kept_bytes) = (queue.durable - 30, 6_041, 0);
    let told = text::status(&overview, &jakarta());
    for part in
        ["nothing waits: the broker has every event", "5.8 KiB of 192 MiB used by what has just left and is let go"]
    {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert!(!told.contains("used by what waits"), "{told}");
    assert!(pages(&overview)[0].contains("(0 %); it has just left, and is let go within five minutes"));
    let queue = overview.outbox.as_mut().expect("an outbox");
    queue.durable += 2;
    (queue.undelivered, queue.waiting_for_broker) = (2, 2);
    assert!(text::status(&overview, &jakarta()).contains("used by what waits and what has just left"));
    assert!(pages(&overview)[0].contains("(0 %); with what has just left"));
    assert!(!everything(&fixture::holding()).contains("just left"));
}

/// Nothing on such a line can tell it: no light is lit for that.
#[test]
fn where_the_protocol_cannot_tell_of_listeners_that_is_said() {
    let mut overview = fixture::by_broker(fixture::healthy());
    overview.hq.protocol = Some("3.1.1".to_owned());
    let sentence = "whether headquarters listens, MQTT 3.1.1 does not tell";
    let [english, indonesian] = pages(&overview);
    assert!(english.contains(sentence) && english.contains("Nothing needs attention."), "{english}");
    assert!(indonesian.contains("apakah kantor pusat mendengarkan"), "{indonesian}");
    assert!(text::status(&overview, &jakarta()).contains(sentence));
    overview.hq.protocol = Some("5".to_owned());
    assert!(!everything(&overview).contains(sentence));
    (overview.hq.protocol, overview.hq.acknowledge) = (Some("3.1.1".to_owned()), "feed".to_owned());
    assert!(!everything(&overview).contains(sentence), "headquarters says so itself");
}

/// What green says is true beside whatever yellow and red say.
#[test]
fn green_does_not_contradict_yellow_or_red() {
    let green = |overview: &Overview| told::told(overview, Light::Sync, Language::English).meaning;
    assert_eq!(green(&fixture::holding()), "Sales wait in the box.", "headquarters cannot be reached");
    for condition in [Condition::NobodyListens, Condition::NotAcknowledged, Condition::ClockUnproven] {
        assert_eq!(green(&fixture::with(condition)), "Sales wait in the box.", "{condition:?}");
    }
    let forgot = fixture::with(Condition::BrokerForgot);
    assert_eq!(
        green(&forgot),
        "Every sale of this outlet that the box has read is at headquarters.",
        "by its own word"
    );
    assert_eq!(green(&fixture::by_broker(forgot)), "The box has sent every sale of this outlet that it has read.");

    let mut draining = fixture::holding();
    (draining.hq.standing, draining.lights.hold) = (Standing::Fine, Pattern::Off);
    draining.conditions.clear();
    assert_eq!(green(&draining), "Sales are on their way.");

    // The printer's paper blinks red, and green blinks with it, though all is delivered.
    let mut paper = fixture::healthy();
    paper.lights = Lights { sync: Pattern::Slow, hold: Pattern::Off, fault: Pattern::Slow };
    paper.conditions = vec![fixture::trouble(Condition::PaperEnd, None, "the printer is out of paper", 3)];
    assert_eq!(green(&paper), "Every sale of this outlet that the box has read is at headquarters.");
    let told = told::gravest(&paper, Language::English);
    assert_eq!(
        (told.meaning.as_str(), told.to_do.as_str()),
        ("The receipt printer is out of paper.", "Put in a new roll.")
    );
    assert_eq!(
        green(&fixture::by_broker(paper)),
        "Every sale of this outlet that the box has read is with the broker."
    );
}

#[test]
fn a_bare_word_is_named_as_unproven() {
    let bare = fixture::by_bare_word();
    let [english, indonesian] = pages(&bare);
    assert!(english.contains("the broker's bare word counts (hq.echo = none)") && english.contains("(MQTT 3.1.1)"));
    assert!(indonesian.contains("hanya berdasarkan pernyataan broker (hq.echo = none)"));
    assert!(text::status(&bare, &jakarta()).contains("not proven: the broker's bare word counts (hq.echo = none)"));
    assert_eq!(check(&metrics::metrics(&bare))["tillbox_broker_unproven"], "1");
    assert!(!everything(&fixture::healthy()).contains("bare word counts (hq.echo = none)"));
}

/// Checks the text format strictly: HELP, TYPE, then the samples of that metric alone, no sample twice, names and units
/// as Prometheus wants them. Gives the samples.
fn check(text: &str) -> BTreeMap<String, String> {
    let (mut values, mut seen, mut current) = (BTreeMap::new(), BTreeSet::new(), String::new());
    assert!(text.ends_with('\n'));
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a help text");
            assert!(words.ends_with('.') && seen.insert(name.to_owned()), "{line}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
            let type_line = lines.next().expect("a type");
            let of_type = type_line.strip_prefix(&format!("# TYPE {name} ")).expect("the type of the same metric");
            assert!(matches!(of_type, "gauge" | "counter"), "{type_line}");
            assert_eq!(of_type == "counter", name.ends_with("_total"), "{name}");
            name.clone_into(&mut current);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let labels = series.strip_prefix(&current).unwrap_or_else(|| panic!("{line} stands under {current}"));
        check_labels(labels);
        let digits = value.strip_prefix('-').unwrap_or(value);
        let numeral = digits.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        assert!(numeral && digits.matches('.').count() <= 1, "{line}");
        assert!(values.insert(series.to_owned(), value.to_owned()).is_none(), "{series} stands twice");
    }
    values
}

fn check_labels(mut text: &str) {
    if text.is_empty() {
        return;
    }
    text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).expect("braces");
    loop {
        let (name, rest) = text.split_once("=\"").expect("a label");
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, c)| match c {
            _ if escaped => {
                assert!(matches!(c, '\\' | '"' | 'n'), "{rest}");
                escaped = false;
                false
            }
            '\\' => {
                escaped = true;
                false
            }
            c => *c == '"',
        });
        let after = &rest[end.expect("the label's end").0 + 1..];
        match after.strip_prefix(',') {
            Some(more) => text = more,
            None => return assert_eq!(after, ""),
        }
    }
}
