//! The token: asked for with the app's id and key, renewed before it ends, kept in memory only.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    super::requests::ask_token,
    parse::{Login, parse_token},
};
use crate::{pos::request::Request, secret::Secret};

/// A token is renewed so long before its end …
const BEFORE_END: TimeDelta = TimeDelta::minutes(5);

/// … and lives at least this long for us, whatever the source says: a login is no poll.
const LIVES_MIN: TimeDelta = TimeDelta::minutes(1);

/// What lets the box in.
pub struct Session {
    app_id: String,
    secret_key: Secret,
    /// The token, and when to ask for another.
    token: Option<(Secret, DateTime<Utc>)>,
    /// A token was refused, and no answer was taken since.
    renewed: bool,
    let_in: bool,
}

impl Session {
    /// Not let in yet.
    #[must_use]
    pub fn new(app_id: &str, secret_key: Secret) -> Self {
        Self { app_id: app_id.to_owned(), secret_key, token: None, renewed: false, let_in: false }
    }

    /// The token, while it is good.
    #[must_use]
    pub fn token(&self, now: DateTime<Utc>) -> Option<&Secret> {
        self.token.as_ref().filter(|(_, renew_at)| now < *renew_at).map(|(token, _)| token)
    }

    /// The request for one.
    #[must_use]
    pub fn ask(&self) -> Request {
        ask_token(&self.app_id, &self.secret_key)
    }

    /// Takes the answer; `false`: the source refuses the credentials.
    ///
    /// # Errors
    /// It is neither a token nor a refusal; one line that says what was expected.
    pub fn take(&mut self, status: u16, body: &[u8], now: DateTime<Utc>) -> Result<bool, String> {
        match parse_token(body) {
            Ok(Login::Token { token, lives }) if status == 200 => {
                let lives = (lives - BEFORE_END).max(lives / 2).max(LIVES_MIN);
                self.token = Some((token, now.checked_add_signed(lives).unwrap_or(now + LIVES_MIN)));
                self.let_in = true;
                Ok(true)
            }
            Ok(Login::Refused) => {
                self.token = None;
                Ok(false)
            }
            Ok(Login::Token { .. }) => Err(format!("expected a refusal with status {status}, found a token")),
            Err(fault) => Err(fault),
        }
    }

    /// The source refused the token; whether another may help. One is tried, then it is for a person.
    pub fn refused(&mut self) -> bool {
        self.token = None;
        !std::mem::replace(&mut self.renewed, true)
    }

    /// The source answered: the token is good.
    pub fn answered(&mut self) {
        self.renewed = false;
    }

    /// Whose store it is, once it let the box in: the app's id is all that is told.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        self.let_in.then(|| format!("the store of app {}", self.app_id))
    }

    /// The only id that is told.
    #[must_use]
    pub fn account(&self) -> Option<Vec<String>> {
        self.let_in.then(|| vec![format!("app:{}", self.app_id)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_770_000_000 + seconds, 0).unwrap()
    }

    fn let_in(lives: &str) -> Session {
        let mut session = Session::new("A-1", Secret::new("key"));
        let body = format!(r#"{{"access_token":"t","expires_in":{lives}}}"#);
        assert_eq!(session.take(200, body.as_bytes(), at(0)), Ok(true));
        session
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        for (lives, good, over) in [("3600", 3_299, 3_300), ("\"600\"", 299, 300), ("0", 3_299, 3_300), ("30", 59, 60)]
        {
            let session = let_in(lives);
            assert!(session.token(at(good)).is_some() && session.token(at(over)).is_none(), "{lives}");
        }
        assert!(let_in("99999999999999999999").token(at(3_299)).is_some());
    }

    #[test]
    fn a_refused_token_is_one_login_until_an_answer_is_taken() {
        let mut session = let_in("3600");
        assert!(session.refused() && session.token(at(0)).is_none());
        assert!(!session.refused());
        session.answered();
        assert!(session.refused());
    }
}
