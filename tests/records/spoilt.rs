//! One record of a page is spoilt, in each system: all others are read, and the page is a page.

use proptest::prelude::*;
use serde_json::Value;
use tillbox::{
    pos::{
        asalta::parse::parse_records,
        olsera::{
            documented::parse::parse_transactions as parse_olsera, open_api::parse::parse_orders as parse_open_api,
        },
        pos_kasir::parse::parse_orders,
        qasir::parse::parse_transactions as parse_qasir,
    },
    transaction::{Flag, Resource},
};

use crate::{context, fixture};

/// What a parser made of a page: the ids in their order, those whose text was mended, and how many were put aside.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    ids: Vec<String>,
    mended: Vec<String>,
    aside: usize,
}

/// A page of a system: its fixture, the place of its list, and its parser.
struct Paged {
    name: &'static str,
    list: &'static str,
    read: fn(&[u8]) -> Result<Told, String>,
}

const PAGES: [Paged; 5] = [
    Paged {
        name: "qasir/edge-transactions-basic.json",
        list: "/transactions",
        read: |body| parse_qasir(body, &context("qasir")).map(told).map_err(|fault| fault.to_string()),
    },
    Paged {
        name: "olsera/edge-transactions-basic.json",
        list: "/data",
        read: |body| parse_olsera(body, &context("olsera")).map(told).map_err(|fault| fault.to_string()),
    },
    Paged {
        name: "olsera/edge-openapi-closeorder-list.json",
        list: "/data",
        read: |body| {
            let orders = parse_open_api(body, &context("olsera").source_zone)?;
            match orders.stopped {
                Some(fault) => Err(fault.to_string()),
                None => Ok(Told {
                    ids: orders.rows.into_iter().map(|row| row.id).collect(),
                    mended: Vec::new(),
                    aside: orders.quarantined.len(),
                }),
            }
        },
    },
    Paged {
        name: "pos-kasir/edge-orders-page-1-of-3.json",
        list: "/data/orders",
        read: |body| {
            let orders = parse_orders(body, &context("pos-kasir")).map_err(|fault| fault.to_string())?;
            assert!(orders.number == 1 && orders.total > 0);
            Ok(told(orders.page))
        },
    },
    Paged {
        name: "asalta/edge-invoices-page-1-of-2.json",
        list: "/data",
        read: |body| {
            let listed =
                parse_records(body, Resource::Invoice, None, &context("asalta")).map_err(|fault| fault.to_string())?;
            Ok(told(listed.page))
        },
    },
];

fn told(page: tillbox::pos::page::Page) -> Told {
    let is_mended = |record: &&tillbox::transaction::Transaction| record.flags.contains(&Flag::TextMended);
    Told {
        mended: page.records.iter().filter(is_mended).map(|record| record.external_id.clone()).collect(),
        ids: page.records.into_iter().map(|record| record.external_id).collect(),
        aside: page.quarantined.len(),
    }
}

impl Paged {
    fn value(&self) -> Value {
        serde_json::from_slice(&fixture(self.name)).unwrap()
    }

    fn rows(&self) -> Vec<String> {
        self.value().pointer(self.list).unwrap().as_array().unwrap().iter().map(Value::to_string).collect()
    }

    /// The fixture with these rows in its list, whatever they are.
    fn with(&self, rows: &[Vec<u8>]) -> Vec<u8> {
        let mut whole = self.value();
        *whole.pointer_mut(self.list).unwrap() = Value::from("the rows");
        let text = whole.to_string();
        let (before, behind) = text.split_once("\"the rows\"").unwrap();
        [before.as_bytes(), b"[", &rows.join(&b','), b"]", behind.as_bytes()].concat()
    }

    /// The same with one row as `spoil` makes it.
    fn with_spoilt(&self, n: usize, spoil: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
        let rows = self.rows().into_iter().enumerate();
        let rows: Vec<_> = rows.map(|(at, row)| if at == n { spoil(&row) } else { row.into_bytes() }).collect();
        self.with(&rows)
    }

    fn whole(&self) -> Told {
        (self.read)(&fixture(self.name)).unwrap()
    }
}

/// A member that a row gets before its own.
fn beside(member: &'static [u8]) -> impl Fn(&str) -> Vec<u8> {
    move |row| [b"{", member, b",", &row.as_bytes()[1..]].concat()
}

#[test]
fn each_small_input_spoils_itself_at_most() {
    for page in PAGES {
        let whole = page.whole();
        assert!(whole.ids.len() > 1 && whole.aside == 0 && whole.mended.is_empty(), "{}", page.name);
        for n in 0..whole.ids.len() {
            let texts: [&[u8]; 5] = [
                b"\"x\":\"Caf\xe9\"",
                b"\"x\":\"\xf0\x9f\x98\"",
                b"\"x\":\"a\tb\"",
                b"\"x\":\"a\nb\"",
                b"\"x\":\"\\ud83d\"",
            ];
            for text in texts {
                let found = (page.read)(&page.with_spoilt(n, beside(text))).unwrap();
                assert_eq!((&found.ids, found.aside), (&whole.ids, 0), "{} {n} {text:?}", page.name);
                // The open API's list makes no record; its detail does.
                let mended = if page.name.contains("openapi") { vec![] } else { vec![whole.ids[n].clone()] };
                assert_eq!(found.mended, mended, "{} {n} {text:?}", page.name);
            }
            let mut others = whole.ids.clone();
            others.remove(n);
            let nan = beside(b"\"x\":NaN");
            let unclosed = |row: &str| row.as_bytes()[..row.len() - 1].to_vec();
            for body in
                [page.with_spoilt(n, nan), page.with_spoilt(n, unclosed), page.with_spoilt(n, |_| b"7".to_vec())]
            {
                let found = (page.read)(&body).unwrap();
                assert_eq!((&found.ids, found.aside), (&others, 1), "{} {n}", page.name);
            }
        }
        // The list as PHP writes it, and a byte order mark before it.
        let rows = page.rows().into_iter().enumerate().map(|(n, row)| format!("\"{n}\":{row}")).collect::<Vec<_>>();
        let text = String::from_utf8(page.with(&[])).unwrap();
        let place = text.rfind("[]").unwrap();
        let body = format!("\u{feff}{}{{{}}}{}", &text[..place], rows.join(","), &text[place + 2..]);
        assert_eq!((page.read)(body.as_bytes()).unwrap(), whole, "{}", page.name);
    }
}

/// A page whose only record is bad is a page.
#[test]
fn the_only_record_may_be_bad() {
    let members = [
        ["id", "total_amount"],
        ["transaction_id", "grand_total"],
        ["id", "id"],
        ["id", "net_total"],
        ["id", "grand_total"],
    ];
    for (page, [id, total]) in PAGES.iter().zip(members) {
        for (member, bad) in [(id, Value::Null), (total, Value::from(""))] {
            let mut row: Value = serde_json::from_str(&page.rows()[0]).unwrap();
            assert!(row[member].is_string() || row[member].is_number(), "{} has no {member}", page.name);
            row[member] = bad;
            let found = (page.read)(&page.with(&[row.to_string().into_bytes()])).unwrap();
            assert_eq!((found.ids.len(), found.aside), (0, 1), "{} {member}", page.name);
        }
    }
}

proptest! {
    /// A byte that is no structure, a bracket that lacks at the end, a word that is no JSON: no other record notices.
    #[test]
    fn one_spoilt_record_leaves_all_others(
        which in 0_usize..5,
        n in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        kind in 0_u8..3,
    ) {
        let page = &PAGES[which];
        let whole = page.whole();
        let n = n.index(whole.ids.len());
        let structure = b"{}[],:\"\\";
        prop_assume!(!structure.contains(&byte));
        let body = page.with_spoilt(n, |row| {
            let mut row = row.as_bytes().to_vec();
            let free: Vec<_> = (0..row.len()).filter(|at| !structure.contains(&row[*at])).collect();
            match kind {
                0 => row[free[place.index(free.len())]] = byte,
                1 => _ = row.pop(),
                _ => row = beside(b"\"x\":NaN")(std::str::from_utf8(&row).unwrap()),
            }
            row
        });
        let found = (page.read)(&body).unwrap();
        let mut others = whole.ids.clone();
        let spoilt = others.remove(n);
        // Its id may be the one that changed; it may even be another's, which then is put aside.
        let kept: Vec<_> = found.ids.iter().filter(|id| others.contains(id)).cloned().collect();
        prop_assert_eq!(&kept, &others, "{} {}", page.name, spoilt);
        prop_assert_eq!(found.ids.len() + found.aside, whole.ids.len());
    }
}
