//! The requests that may be sent at all. Nothing else of Asalta can be asked: a path is built here or nowhere, and the
//! GET that voids an order is refused by its path even here.
//!
//! ```compile_fail
//! // There is no such request, and no way to make one.
//! tillbox::pos::asalta::requests::void_order("7");
//! ```

use chrono::NaiveDate;

use crate::{
    pos::request::{Payload, Post, Request},
    transaction::Resource,
};

/// The paths of all of them.
#[cfg(test)]
pub const CLOSED: [&str; 6] =
    ["/pos/warehouses", "/pos/invoices", "/pos/return_invoices", "/pos/orders", "/pos/return_orders", "/report/sales"];

/// `GET /pos/warehouses`: whose key it is.
pub fn warehouses() -> Request {
    get("warehouses").with("page", "1")
}

/// A page of a list; of a sale's or an order's returns, if `of` names one.
pub fn list(resource: Resource, page: u64, of: Option<&str>) -> Request {
    let request = get(name(resource));
    let request = if let Some(sale) = of { request.with("sale_id", sale) } else { request };
    request.with("page", page.to_string())
}

/// One record.
pub fn one(resource: Resource, id: &str) -> Request {
    get(name(resource)).with("id", id)
}

/// `POST /report/sales`, which reads: the sales of these days. The reference speaks of URL parameters and of a form;
/// the form is always sent, the query where the form alone is ignored.
pub fn report(first: NaiveDate, last: NaiveDate, in_query: bool) -> Request {
    let (first, last) = (first.to_string(), last.to_string());
    let request = Request::post(Post::Report, Payload::form(&[("startdate", &first), ("enddate", &last)]));
    if in_query { request.with("startdate", first).with("enddate", last) } else { request }
}

/// A list's name in the path.
pub fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::ReturnInvoice => "return_invoices",
        Resource::Order => "orders",
        Resource::ReturnOrder => "return_orders",
        Resource::Invoice | Resource::Transaction | Resource::OrderRefund => "invoices",
    }
}

fn get(name: &str) -> Request {
    Request::get(&["pos", name]).expect("a path that only reads")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pos::request::PathFault;

    #[test]
    fn every_request_reads_and_the_one_that_voids_cannot_be_built() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 14).unwrap();
        let resources = [Resource::Invoice, Resource::ReturnInvoice, Resource::Order, Resource::ReturnOrder];
        let mut all = vec![warehouses(), report(day, day, false), report(day, day, true)];
        for resource in resources {
            all.extend([list(resource, 2, None), list(resource, 1, Some("../void_order?id=7")), one(resource, "7&x")]);
        }
        for request in &all {
            assert!(CLOSED.contains(&request.path()), "{request}");
            assert_eq!(request.to_string().starts_with("POST"), request.path() == "/report/sales");
        }
        assert_eq!(Request::get(&["pos", "void_order"]), Err(PathFault::Changes));
    }
}
