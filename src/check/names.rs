//! Names that become levels of topics: characters that some brokers refuse, or take for something else.
//!
//! No fault: the box cannot know what HQ's broker is, and most take them. `docs/brokers` says what was tried.

use super::Finding;
use crate::config::Config;

/// What is doubtful about the names in the topics; nothing where all brokers take them.
#[must_use]
pub fn names(config: &Config) -> Vec<Finding> {
    let told = [
        ("outlet id", config.outlet.id.as_str(), "give the outlet an id without it before HQ has sales of it"),
        ("hq topic-prefix", config.hq.topic_prefix.as_str(), "choose a prefix without it, and tell HQ"),
    ];
    told.into_iter().filter_map(|(item, name, remedy)| doubt(item, name, remedy)).collect()
}

fn doubt(item: &str, name: &str, remedy: &str) -> Option<Finding> {
    let what = match name.chars().find(|c| is_doubtful(*c))? {
        '.' => "a point, which NATS refuses in a topic and RabbitMQ cannot tell from the `/` between two levels",
        c if c.is_whitespace() => "a blank, which NATS refuses in a topic",
        '*' | '>' => "a `*` or `>`, which RabbitMQ and NATS take for a wildcard",
        _ => "a character beyond ASCII, which not every broker's rules can name",
    };
    let text = format!("found `{name}` with {what}; expected letters, digits, `-` and `_`, which every broker takes");
    Some(Finding::warn(item, text, format!("{remedy}, or see that HQ's broker takes it")))
}

fn is_doubtful(c: char) -> bool {
    c == '.' || c.is_whitespace() || matches!(c, '*' | '>') || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    #[test]
    fn a_name_that_some_broker_refuses_is_warned_about() {
        for plain in ["tillbox", "hq/tillbox", "jkt-014", "JKT_014"] {
            assert_eq!(doubt("outlet id", plain, "rename it"), None, "{plain}");
        }
        for (name, says) in [
            ("jkt.014", "NATS refuses"),
            ("hq/kopi kita", "a blank"),
            ("a*", "wildcard"),
            ("a>", "wildcard"),
            ("warung-é", "beyond ASCII"),
        ] {
            let found = doubt("outlet id", name, "rename it").unwrap();
            assert_eq!(found.outcome, Outcome::Warn);
            assert!(found.text.contains(says) && found.text.contains(name), "{found}");
        }
    }
}
