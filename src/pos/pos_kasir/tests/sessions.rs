//! Who is let in, for how long, and how often it may ask.

use chrono::TimeDelta;

use super::world::TestBox;
use crate::{
    config::Credentials,
    demo::pos_kasir::User,
    health::Condition,
    pos::http::Failure,
    secret::{Secret, SecretAt},
    transaction::Kind,
};

#[test]
fn a_session_is_refreshed_before_its_end_and_logged_in_anew_where_that_fails() {
    let mut tillbox = TestBox::new(|options| options.session = TimeDelta::minutes(30));
    tillbox.minutes(180);
    assert_eq!((tillbox.server.logins(), tillbox.failures.len()), (1, 0));
    tillbox.server.log_in_elsewhere();
    tillbox.minutes(60);
    assert_eq!(tillbox.server.logins(), 2);
    assert_eq!(tillbox.failures, [Failure::Refused(401)]);
    tillbox.server.end_sessions();
    tillbox.sell("A", 1_000);
    tillbox.minutes(2);
    assert_eq!(tillbox.server.logins(), 3);
    assert_eq!(tillbox.kinds("A").0, Some(Kind::Sale));
    assert_eq!(tillbox.progress().identity.as_deref(), Some("Warung Bu Siti"));
}

#[test]
fn a_wrong_password_is_tried_every_five_minutes_and_no_more() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.secret = "salah".to_owned();
    tillbox.restart();
    tillbox.minutes(60);
    assert!(tillbox.server.logins() <= 12, "{}", tillbox.server.logins());
    assert!(tillbox.failures.iter().all(|failure| *failure == Failure::Refused(401)));
    tillbox.server.adjust(|options| options.users[0].password = "salah".to_owned());
    tillbox.sell("A", 1_000);
    tillbox.minutes(6);
    assert_eq!(tillbox.kinds("A").0, Some(Kind::Sale));
}

#[test]
fn a_password_that_changes_under_a_session_is_one_login() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.minutes(5);
    tillbox.server.adjust(|options| options.users[0].password = "baru".to_owned());
    tillbox.server.end_sessions();
    tillbox.minutes(30);
    assert!(tillbox.server.logins() <= 8, "{}", tillbox.server.logins());
}

#[test]
fn an_unknown_e_mail_is_told_and_not_tried_in_a_loop() {
    let mut tillbox = TestBox::new(|_| {});
    tillbox.server.adjust(|options| options.users[0].email = "other@shop.example".to_owned());
    tillbox.minutes(60);
    assert!(tillbox.server.logins() <= 13, "{}", tillbox.server.logins());
    assert!(tillbox.holds(Condition::PosUnfit).unwrap().contains("knows no user"));
    tillbox.server.adjust(|options| options.users[0].email = "box@shop.example".to_owned());
    tillbox.minutes(6);
    assert!(tillbox.all_is_well());
}

#[test]
fn a_cashier_is_refused_until_it_is_a_manager() {
    let mut tillbox = TestBox::new(|options| options.users[0].role = "cashier".to_owned());
    tillbox.sell("A", 1_000);
    tillbox.minutes(30);
    assert!(tillbox.holds(Condition::PosUnfit).unwrap().contains("role manager"));
    assert!(tillbox.asked.iter().all(|(_, path)| !path.starts_with("/orders")));
    assert!(tillbox.asked.len() < 12);
    tillbox.server.adjust(|options| options.users[0].role = "manager".to_owned());
    tillbox.minutes(7);
    assert!(tillbox.all_is_well());
    assert_eq!(tillbox.kinds("A").0, Some(Kind::Sale));
    // And back: it is noticed within the hour.
    tillbox.server.adjust(|options| options.users[0].role = "cashier".to_owned());
    tillbox.minutes(66);
    assert!(tillbox.holds(Condition::PosUnfit).is_some());
}

#[test]
fn a_front_that_takes_a_token_is_asked_with_it() {
    let mut tillbox = TestBox::new(|options| options.bearer = Some("T0".to_owned()));
    tillbox.credentials = Credentials::Bearer { token: SecretAt::Here(Secret::new("T0")) };
    tillbox.secret = "T0".to_owned();
    tillbox.restart();
    tillbox.sell("A", 1_000);
    tillbox.minutes(2);
    assert_eq!((tillbox.server.logins(), tillbox.kinds("A").0), (0, Some(Kind::Sale)));
    tillbox.server.adjust(|options| options.bearer = None);
    tillbox.minutes(30);
    assert!(tillbox.failures.len() <= 6, "it is for a person: {}", tillbox.failures.len());
}

#[test]
fn the_tills_come_first() {
    let mut tillbox = TestBox::new(|options| options.taken_by_tills = 55);
    for n in 0..200 {
        tillbox.sell(&format!("S-{n}"), 1_000);
    }
    tillbox.minutes(60);
    assert_eq!((tillbox.failures.len(), tillbox.differences()), (0, vec![]));
    let in_a_minute = tillbox.asked.windows(9).all(|some| some[8].0 - some[0].0 > TimeDelta::seconds(20));
    assert!(in_a_minute, "of 45 that are left, 40 are for the tills");
    // Even where the tills take all of it, nobody is refused for long.
    tillbox.server.adjust(|options| options.taken_by_tills = 100);
    tillbox.minutes(10);
    let refused = tillbox.failures.len();
    assert!(refused <= 12, "{refused}");
    tillbox.server.adjust(|options| options.taken_by_tills = 0);
    tillbox.sell("A", 1_000);
    tillbox.minutes(15);
    assert_eq!(tillbox.kinds("A").0, Some(Kind::Sale));
}

#[test]
fn other_roles_and_plain_http_are_noted() {
    let mut tillbox = TestBox::new(|options| options.users.push(User::new("a@b.c", "x", "admin")));
    tillbox.minutes(2);
    let notes = tillbox.progress().notes;
    assert!(notes.iter().any(|note| note.contains("role manager fits")), "{notes:?}");
    assert!(notes.len() <= 4 && !notes.iter().any(|note| note.contains("plain http")));
}
