//! Where the log goes: the journal under systemd, else standard error.

use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Sets the program's log up: structured fields in the journal where standard error is the journal's, lines otherwise.
/// `TILLBOX_LOG` chooses what is logged (`info` if it is not set), in the form `warn,tillbox::poll=debug`.
pub fn start() {
    // The libraries are heard only when something is wrong.
    let usual = || Targets::new().with_default(Level::WARN).with_target("tillbox", Level::INFO);
    let chosen = std::env::var("TILLBOX_LOG").ok();
    let filter = chosen.as_deref().map(str::parse);
    let refused = matches!(filter, Some(Err(_)));
    // What the libraries say below a warning may hold whole requests and answers: credentials, and people's names. No
    // choice lets that through.
    let discreet = Targets::new().with_default(Level::WARN).with_target("tillbox", Level::TRACE);
    let registry =
        tracing_subscriber::registry().with(discreet).with(filter.and_then(Result::ok).unwrap_or_else(usual));
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    if let Some(journal) = journal {
        registry.with(journal).init();
    } else {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
        registry.with(lines).init();
    }
    if refused {
        tracing::warn!("TILLBOX_LOG is not of the form `warn,tillbox::poll=debug` and is left out of account");
    }
}
