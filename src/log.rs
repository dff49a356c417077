//! Where the log goes: the journal under systemd, else standard error.
//!
//! Points of sale and brokers have a say in what is told. Whatever a line or a field holds goes through `Cleaned`, so
//! that nobody who logs has to think of it: no name can begin a line of its own, or steer the terminal of who reads it.

use std::{array, fmt};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{DisplayValue, Field, Value, Visit, display},
    span,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use crate::plain::Plain;

/// Fields of an event that are told, at most; what the program logs has a handful.
const FIELDS_MAX: usize = 32;

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
        registry.with(Cleaned(journal)).init();
    } else {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
        registry.with(Cleaned(lines)).init();
    }
    if refused {
        tracing::warn!("TILLBOX_LOG is not of the form `warn,tillbox::poll=debug` and is left out of account");
    }
}

/// A layer that hears of every event with its texts in one line, and everything in them escaped that is not plain.
struct Cleaned<L>(L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for Cleaned<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut told = Told(Vec::new());
        event.record(&mut told);
        let metadata = event.metadata();
        let Some((first, _)) = told.0.first() else { return self.0.on_event(event, context) };
        // What is not filled counts as absent.
        let fields: [(&Field, Option<&dyn Value>); FIELDS_MAX] = array::from_fn(|index| match told.0.get(index) {
            Some((field, value)) => (field, Some(&**value)),
            None => (first, None),
        });
        let fields = metadata.fields().value_set(&fields);
        let cleaned = match event.parent() {
            None if event.is_contextual() => Event::new(metadata, &fields),
            parent => Event::new_child_of(parent.cloned(), metadata, &fields),
        };
        self.0.on_event(&cleaned, context);
    }

    // The rest goes on as it is: the program itself has no spans.

    fn on_layer(&mut self, subscriber: &mut S) {
        self.0.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.enabled(metadata, context)
    }

    fn on_new_span(&self, of: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        self.0.on_new_span(of, id, context);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_enter(&self, id: &span::Id, context: Context<'_, S>) {
        self.0.on_enter(id, context);
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        self.0.on_exit(id, context);
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        self.0.on_close(id, context);
    }
}

/// An event's fields, clean.
struct Told(Vec<(Field, Box<dyn Value>)>);

impl Told {
    fn shown(value: impl fmt::Display) -> Box<dyn Value> {
        let text: DisplayValue<String> = display(Plain(value).to_string());
        Box::new(text)
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.clone(), Self::shown(format_args!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.clone(), Box::new(Plain(value).to_string())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.clone(), Box::new(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.clone(), Box::new(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.clone(), Box::new(value)));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("unbroken").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_field_and_no_message_forges_a_line() {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let hostile = "Kopi\r\n2026-01-01T00:00:00Z ERROR tillbox: forged\u{202e}\u{1b}[2J\u{85}\u{2028}";
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Cleaned(lines)), || {
            tracing::info!(connection = hostile, count = 3_u64, below = -1_i64, kept = true, "reads {hostile}");
            tracing::warn!(error = %hostile, name = ?Some(hostile), "over: {hostile}");
            tracing::error!("{hostile}");
        });
        let text = String::from_utf8(kept.0.lock().expect("unbroken").clone()).expect("text");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.replace('\n', "").chars().all(crate::plain::is_plain), "{text:?}");
        let [first, second, _] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        let shown = r"Kopi\r\n2026-01-01T00:00:00Z ERROR tillbox: forged\u{202e}\u{1b}[2J\u{85}\u{2028}";
        assert!(first.contains(&format!("reads {shown}")), "{first}");
        assert!(first.contains("count=3 below=-1 kept=true"), "{first}");
        assert!(second.contains(&format!("over: {shown} error={shown} name=Some(")), "{second}");
    }
}
