//! Where the log goes: the journal under systemd, else standard error.

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Sets the program's log up: structured fields in the journal where standard error is the journal's, lines otherwise.
/// `TILLBOX_LOG` chooses what is logged (`info` if it is not set), in the form `warn,tillbox::poll=debug`.
pub fn start() {
    // The libraries are heard only when something is wrong.
    let filter = EnvFilter::try_from_env("TILLBOX_LOG").unwrap_or_else(|_| EnvFilter::new("warn,tillbox=info"));
    let registry = tracing_subscriber::registry().with(filter);
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    match journal {
        Some(journal) => registry.with(journal).init(),
        None => {
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
            registry.with(lines).init();
        }
    }
}
