//! The code flow of `OAuth2`: a page that sends its user back with a code, and the exchange of that code.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Options, fault};
use crate::{
    demo::http_server::{Answer, Request},
    pos::request::encode,
};

/// A code lives so long.
const CODE_LIFE: TimeDelta = TimeDelta::seconds(30);

/// The codes that were given, and when.
#[derive(Debug, Default)]
pub(super) struct Codes {
    given: BTreeMap<String, DateTime<Utc>>,
    count: u32,
}

impl Codes {
    /// `GET /auth`: as if the user had logged in and said yes, or no.
    pub fn ask(&mut self, request: &Request, options: &Options, now: DateTime<Utc>) -> Answer {
        let is = |name: &str, value: &str| request.parameter(name).is_some_and(|given| given == value);
        if !is("client_id", &options.client_id)
            || !is("redirect_uri", &options.redirect_uri)
            || !is("response_type", "code")
        {
            return fault(400, "invalid_request");
        }
        let mut back = options.redirect_uri.clone();
        back.push(if back.contains('?') { '&' } else { '?' });
        if options.denies {
            back.push_str("error=access_denied");
        } else {
            self.count += 1;
            let code = format!("code+{}/{}", self.count, options.client_id);
            back.push_str("code=");
            encode(&code, &mut back);
            self.given.insert(code, now);
        }
        if let Some(state) = request.parameter("state") {
            back.push_str("&state=");
            encode(&state, &mut back);
        }
        Answer::new(302, "text/html", Vec::new()).with("Location", &back)
    }

    /// `POST /auth/token`.
    pub fn exchange(&mut self, request: &Request, options: &Options, now: DateTime<Utc>) -> Answer {
        let form = Request { query: String::from_utf8(request.body.clone()).ok(), ..Request::default() };
        let is = |name: &str, value: &str| form.parameter(name).is_some_and(|given| given == value);
        if !is("client_id", &options.client_id) || !is("client_secret", &options.client_secret) {
            return Answer::json(401, &json!({"error": "invalid_client"}));
        }
        // A code is used up by the first who shows it.
        let given = form.parameter("code").and_then(|code| self.given.remove(&code));
        let lives = given.is_some_and(|given| now - given <= CODE_LIFE);
        if !lives || !is("redirect_uri", &options.redirect_uri) || !is("grant_type", "authorization_code") {
            return Answer::json(400, &json!({"error": "invalid_grant"}));
        }
        Answer::json(200, &json!({"access_token": options.token}))
    }
}
