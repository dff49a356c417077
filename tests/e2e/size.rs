//! A sale that is too large for HQ's broker.

use crate::parts::{broker::KEEPING, shop::Shop, stage::Stage};

#[test]
fn a_sale_over_the_size_limit_travels_without_its_items_and_with_its_money() {
    let settings = format!("{KEEPING}message_size_limit 4096\n");
    let mut stage = Stage::with("broker", &settings, Shop::open());
    stage.setup.hq.push_str("event-max-size = \"4KiB\"\n");
    stage.shop.sell_much("LARGE", 400);
    stage.shop.sell(5);
    let mut daemon = stage.start();
    stage.wait_for_books(&daemon);
    daemon.stop();
    let record = stage.hq.record();
    let data = |id| record.events_of("transaction").map(|event| &event["data"]).find(|data| data["external_id"] == id);
    let large = data("LARGE").expect("the large sale");
    assert_eq!(large["amount"], "2500000");
    assert!(large["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "items_omitted")), "{large}");
    assert!(large["items"].is_null(), "{large}");
    assert!(data("S-000001").is_some_and(|data| data["items"].is_array()));
    assert!(record.messages.iter().all(|message| message.body.len() <= 4_096));
}
