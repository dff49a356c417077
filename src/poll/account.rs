//! Whether the account that answers is the one whose sales were stored.
//!
//! Accounts are compared by ids alone, since a name can be changed and a token is renewed. Ids are `kind:id`, and only
//! those of a kind that both know say anything: where they know such a kind and share no id, it is another account.

use std::collections::BTreeSet;

use crate::outbox::Account;

/// Ids that a message names at most.
const NAMED_MAX: usize = 3;

/// What an account is to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The one that is noted.
    Same,
    /// The same, as far as can be told, and to be noted so; with what HQ is told of it.
    Note(Account, Option<&'static str>),
    /// Another one: what is noted, and what answers.
    Stranger(String),
}

const UNKNOWN: &str = "the point of sale does not tell by an id whose account answers: if it were another one than before, \
                       the box would not notice";

const ADOPTED: &str = "which account was read so far was not noted, or it told no id: the one that answers now is taken to \
                       be the same";

/// Weighs the ids that answer against those that are noted. `read_before`: sales of the connection were read already.
#[must_use]
pub fn weigh(noted: Option<&Account>, now: &[String], read_before: bool) -> Verdict {
    let none = Account::default();
    let known = noted.unwrap_or(&none);
    let of_both = shared_kinds(&known.ids, now);
    if of_both.is_empty() {
        // They cannot be compared. What was never read cannot be mixed with anything.
        let text = match (known.ids.is_empty(), now.is_empty()) {
            (true, false) => ADOPTED,
            _ => UNKNOWN,
        };
        let tell = read_before && !known.told;
        let account = Account { told: known.told || tell, ..known.with(now) };
        return if noted == Some(&account) { Verdict::Same } else { Verdict::Note(account, tell.then_some(text)) };
    }
    if now.iter().any(|id| known.ids.contains(id)) {
        let account = known.with(now);
        return if account == *known { Verdict::Same } else { Verdict::Note(account, None) };
    }
    let named = |ids: &mut dyn Iterator<Item = &String>| {
        let ids: Vec<_> = ids.filter(|id| of_both.contains(kind(id))).map(String::as_str).collect();
        let more = ids.len().saturating_sub(NAMED_MAX);
        let named = ids[..ids.len() - more].join(", ");
        if more == 0 { named } else { format!("{named} and {more} more") }
    };
    let (before, answers) = (named(&mut known.ids.iter()), named(&mut now.iter()));
    Verdict::Stranger(format!("the store holds sales of the account with {before}, and one with {answers} answers"))
}

fn kind(id: &str) -> &str {
    id.split_once(':').map_or("", |(kind, _)| kind)
}

fn shared_kinds<'a>(known: &'a BTreeSet<String>, now: &[String]) -> BTreeSet<&'a str> {
    known.iter().map(|id| kind(id)).filter(|known| now.iter().any(|id| kind(id) == *known)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(of: &[&str]) -> Vec<String> {
        of.iter().map(|id| (*id).to_owned()).collect()
    }

    fn account(of: &[&str], told: bool) -> Account {
        Account { ids: ids(of).into_iter().collect(), told }
    }

    #[test]
    fn an_account_is_another_only_where_both_are_known_and_share_no_id() {
        let known = account(&["outlet:1", "outlet:2"], false);
        assert_eq!(weigh(Some(&known), &ids(&["outlet:2", "outlet:1"]), true), Verdict::Same);
        let wider = account(&["outlet:1", "outlet:2", "outlet:3"], false);
        assert_eq!(weigh(Some(&known), &ids(&["outlet:2", "outlet:3"]), true), Verdict::Note(wider, None));
        let Verdict::Stranger(text) = weigh(Some(&known), &ids(&["outlet:7"]), true) else { panic!("it is another") };
        assert!(text.contains("outlet:1, outlet:2") && text.contains("outlet:7"), "{text}");
        assert!(matches!(weigh(Some(&known), &ids(&["outlet:7"]), false), Verdict::Stranger(_)));
    }

    #[test]
    fn an_id_of_another_kind_says_nothing() {
        let known = account(&["outlet:1"], false);
        let both = account(&["outlet:1", "user:1"], true);
        assert_eq!(weigh(Some(&known), &ids(&["user:1"]), true), Verdict::Note(both, Some(UNKNOWN)));
        assert!(matches!(
            weigh(Some(&account(&["outlet:1", "user:1"], true)), &ids(&["user:1", "outlet:2"]), true),
            Verdict::Same | Verdict::Note(..)
        ));
    }

    #[test]
    fn what_cannot_be_compared_goes_on_and_is_told_once() {
        // A new connection has nothing that could be mixed.
        let first = account(&["outlet:1"], false);
        assert_eq!(weigh(None, &ids(&["outlet:1"]), false), Verdict::Note(first.clone(), None));
        assert_eq!(weigh(None, &[], false), Verdict::Note(account(&[], false), None));
        // A store of an earlier version takes the account that it meets.
        let adopted = account(&["outlet:1"], true);
        assert_eq!(weigh(None, &ids(&["outlet:1"]), true), Verdict::Note(adopted.clone(), Some(ADOPTED)));
        assert_eq!(weigh(Some(&adopted), &ids(&["outlet:1"]), true), Verdict::Same);
        // One that says no id any more is told once, and remembered as it was.
        assert_eq!(weigh(Some(&first), &[], true), Verdict::Note(adopted.clone(), Some(UNKNOWN)));
        assert_eq!(weigh(Some(&adopted), &[], true), Verdict::Same);
        assert!(matches!(weigh(Some(&adopted), &ids(&["outlet:2"]), true), Verdict::Stranger(_)));
        assert_eq!(weigh(Some(&account(&[], false)), &[], true), Verdict::Note(account(&[], true), Some(UNKNOWN)));
        assert_eq!(weigh(Some(&account(&[], true)), &[], true), Verdict::Same);
    }

    #[test]
    fn what_is_remembered_of_an_account_is_bounded_and_the_newest_stays() {
        use crate::outbox::ACCOUNT_IDS_MAX;
        let many: Vec<_> = (0..ACCOUNT_IDS_MAX).map(|id| format!("outlet:{id:04}")).collect();
        let known = Account::default().with(&many);
        let grown = known.with(&ids(&["outlet:9999", "outlet:0001"]));
        assert_eq!(grown.ids.len(), ACCOUNT_IDS_MAX);
        assert!(grown.ids.contains("outlet:9999") && grown.ids.contains("outlet:0001"));
    }
}
