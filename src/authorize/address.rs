//! The address that is opened, and the one to which a browser is sent back.

use crate::{pos::request::encode, secret::Secret};

/// No reason of Asalta's is shown longer.
const REASON_CHARS_MAX: usize = 64;

/// What an address to which a browser was sent says.
#[derive(Debug, PartialEq, Eq)]
pub enum Redirected {
    /// A code.
    Code(Secret),
    /// The reason why there is none.
    Denied(String),
    /// It answers another request than ours.
    OtherState,
    /// Neither.
    Nothing,
}

/// `{base}/auth?…`.
pub fn authorize_address(base_url: &str, client_id: &str, redirect_uri: &str, state: &str) -> String {
    let mut address = format!("{base_url}/auth?response_type=code");
    for (name, value) in [("client_id", client_id), ("redirect_uri", redirect_uri), ("state", state)] {
        address.push('&');
        address.push_str(name);
        address.push('=');
        encode(value, &mut address);
    }
    address
}

/// Reads a whole address, or the target of a request. Its `state` must be ours, be it a code or an error that it brings.
pub fn read_redirected(address: &str, state: &str) -> Redirected {
    let Some((_, query)) = address.split_once('?') else { return Redirected::Nothing };
    let query = query.split('#').next().unwrap_or_default();
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).and_then(|(_, value)| decoded(value)).filter(|value| !value.is_empty())
    };
    let (code, error) = (value("code"), value("error"));
    if code.is_none() && error.is_none() {
        return Redirected::Nothing;
    }
    if value("state").as_deref() != Some(state) {
        return Redirected::OtherState;
    }
    match (error, code) {
        (Some(error), _) => Redirected::Denied(shown(&error)),
        (None, Some(code)) => Redirected::Code(Secret::new(code)),
        (None, None) => Redirected::Nothing,
    }
}

/// An error's word, such as `access_denied`, and nothing that a terminal would obey.
fn shown(error: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.');
    error.chars().filter(plain).take(REASON_CHARS_MAX).collect()
}

/// A value as forms encode it; `None` if that is broken.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next()?)? * 16 + digit(rest.next()?)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_carries_what_the_flow_needs() {
        assert_eq!(
            authorize_address("https://api.asalta.com", "a&b", "http://127.0.0.1:8014/?x=1", "s"),
            "https://api.asalta.com/auth?response_type=code&client_id=a%26b\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A8014%2F%3Fx%3D1&state=s"
        );
    }

    #[test]
    fn only_the_answer_to_our_own_request_is_taken() {
        let code = |text: &str| Redirected::Code(Secret::new(text));
        for (address, told) in [
            ("http://127.0.0.1:8014/?code=a%2Bb%2F1+2&state=s", code("a+b/1 2")),
            ("/?state=s&code=x#_=_", code("x")),
            ("/?code=x&state=t", Redirected::OtherState),
            ("/?code=x&state=", Redirected::OtherState),
            ("/?code=x", Redirected::OtherState),
            ("/?error=access_denied&state=t", Redirected::OtherState),
            ("/?error=access_denied%1b%5b31m&state=s", Redirected::Denied("access_denied31m".to_owned())),
            ("/?error=no&code=x&state=s", Redirected::Denied("no".to_owned())),
            ("/favicon.ico", Redirected::Nothing),
            ("/?state=s", Redirected::Nothing),
            ("/?code=%2&state=s", Redirected::Nothing),
            ("x", Redirected::Nothing),
        ] {
            assert_eq!(read_redirected(address, "s"), told, "{address}");
        }
    }
}
