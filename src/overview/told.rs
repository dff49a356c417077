//! What each light says of this very box: the cashier's card must name all that a pattern may mean, here the causes are
//! known, and each is named.
//!
//! No sentence claims more than `acknowledge` lets be known: at headquarters is what it has confirmed itself, with the
//! broker what that has acknowledged. No two of them contradict each other: what green says of the sales is true
//! whatever yellow and red say.

use super::{Overview, Queue, Standing, Trouble};
use crate::{
    board::profile::Light,
    health::Condition,
    signal::{NEARLY_FULL_PERCENT, Pattern},
    texts::{
        Advice, Language, Text, conditions,
        lights::{self, GO_ON},
        page,
    },
};

/// Causes that one sentence names; whatever else there is stands among what needs attention.
const NAMED_MAX: usize = 3;

/// What a light says, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub to_do: String,
}

impl Told {
    fn plain(advice: Advice, language: Language) -> Self {
        Self { meaning: advice.meaning.of(language).to_owned(), to_do: advice.to_do.of(language).to_owned() }
    }
}

/// Something that lights a line: what it means, and what to do where that is more than the light itself says.
struct Cause {
    meaning: String,
    to_do: Option<Text>,
}

/// What the light says that says most.
#[must_use]
pub fn gravest(overview: &Overview, language: Language) -> Told {
    told(overview, lights::gravest(overview.lights), language)
}

/// What a light says of this box.
#[must_use]
pub fn told(overview: &Overview, light: Light, language: Language) -> Told {
    let pattern = overview.lights.of(light);
    let advice = lights::advice(light, pattern);
    let of_kind = |kind: fn(Condition) -> bool| causes(overview, kind, language);
    match (light, pattern) {
        (Light::Sync, Pattern::Steady | Pattern::SteadyWink) => {
            let all = if overview.hq.confirms() { lights::ALL_AT_HQ } else { lights::ALL_WITH_BROKER };
            Told { meaning: all.of(language).to_owned(), to_do: beside_green(overview, advice, language) }
        }
        (Light::Sync, Pattern::Slow) => {
            let meaning = overview.outbox.as_ref().map(|queue| on_the_way(overview, queue).of(language).to_owned());
            let plain = Told::plain(advice, language);
            Told { meaning: meaning.unwrap_or(plain.meaning), to_do: beside_green(overview, advice, language) }
        }
        (Light::Hold, Pattern::Steady) => {
            let mut causes = of_kind(Condition::keeps_sales_here);
            if causes.is_empty() {
                // What red is lit for keeps the sales here, too: it is not the internet then.
                causes = of_kind(|of| of.is_of_hq() && of.needs_technician());
            }
            named(&causes, advice, language)
        }
        (Light::Hold, Pattern::Slow) => {
            let of_pos = |of| matches!(of, Condition::PosUnreachable | Condition::PosUnreadable);
            named(&of_kind(of_pos), advice, language)
        }
        (Light::Hold, Pattern::Fast) => named(&unproven(overview, language), advice, language),
        (Light::Fault, Pattern::Slow) => {
            let of_printer = |of| matches!(of, Condition::PaperLow | Condition::PaperEnd | Condition::PrinterFault);
            let mut told = named(&of_kind(of_printer), advice, language);
            // Paper is nothing that would keep anybody from selling.
            if let Some(rest) = told.to_do.strip_prefix(GO_ON.of(language)) {
                told.to_do = rest.trim_start().to_owned();
            }
            told
        }
        _ => Told::plain(advice, language),
    }
}

/// What red is lit for, each with its remedy: for whoever is called. Without what the light itself says already.
#[must_use]
pub fn remedies(overview: &Overview, language: Language) -> Vec<Told> {
    let causes = causes(overview, Condition::needs_technician, language);
    let told = causes.into_iter().take(NAMED_MAX).map(|Cause { meaning, to_do }| Told {
        meaning,
        to_do: to_do.map(|to_do| to_do.of(language).to_owned()).unwrap_or_default(),
    });
    told.collect()
}

/// What to do while green is lit: nothing, unless something is noticed that lights no line and asks for more.
fn beside_green(overview: &Overview, advice: Advice, language: Language) -> String {
    let reduced =
        conditions::advice(Condition::EventReduced.code()).filter(|_| overview.holds(Condition::EventReduced));
    match reduced {
        Some(reduced) => {
            let [go_on, meaning, to_do] = [GO_ON, reduced.meaning, reduced.to_do].map(|text| text.of(language));
            format!("{go_on} {meaning} {to_do}")
        }
        None => advice.to_do.of(language).to_owned(),
    }
}

/// Where the sales are that are not all delivered, or of which another light tells something.
fn on_the_way(overview: &Overview, queue: &Queue) -> Text {
    let confirms = overview.hq.confirms();
    let forgot = overview.holds(Condition::BrokerForgot);
    match (queue.waiting_for_broker, queue.waiting_for_hq) {
        (0, 0) if confirms => lights::READ_AT_HQ,
        (0, 0) if forgot => lights::READ_AND_SENT,
        (0, 0) => lights::READ_WITH_BROKER,
        (0, _) if forgot => lights::NOT_CONFIRMED,
        (0, _) => lights::WITH_BROKER_NOT_CONFIRMED,
        _ if overview.hq.standing == Standing::Fine => lights::ON_THEIR_WAY,
        _ => lights::WAIT_HERE,
    }
}

/// What blinks yellow fast.
fn unproven(overview: &Overview, language: Language) -> Vec<Cause> {
    let mut all = Vec::new();
    if overview.open_gaps > 0 {
        let to_do = overview.gaps_need_a_person().then_some(lights::GAP_FOR_A_PERSON);
        all.push(Cause { meaning: lights::GAP.of(language).to_owned(), to_do });
    }
    if overview.put_aside_lately {
        all.push(Cause { meaning: lights::PUT_ASIDE.of(language).to_owned(), to_do: None });
    }
    all.extend(causes(overview, Condition::leaves_unproven, language));
    if let Some(queue) = overview.outbox.as_ref().filter(|queue| queue.percent() > NEARLY_FULL_PERCENT) {
        let meaning = page::NEARLY_FULL.filled(language, &[&queue.percent().to_string()]);
        all.push(Cause { meaning, to_do: Some(page::NEARLY_FULL_TO_DO) });
    }
    all
}

/// The conditions of a kind that hold, each once, however many connections it holds for.
fn causes(overview: &Overview, kind: fn(Condition) -> bool, language: Language) -> Vec<Cause> {
    let mut codes: Vec<&str> = Vec::new();
    for Trouble { code, .. } in overview.conditions.iter().filter(|trouble| trouble.is(kind)) {
        if !codes.contains(&code.as_str()) {
            codes.push(code);
        }
    }
    let advices = codes.into_iter().filter_map(conditions::advice);
    advices.map(|advice| Cause { meaning: advice.meaning.of(language).to_owned(), to_do: Some(advice.to_do) }).collect()
}

/// Names the causes; what to do is said for the first that says it. Where none is known the light says what it may mean.
fn named(causes: &[Cause], advice: Advice, language: Language) -> Told {
    let plain = Told::plain(advice, language);
    if causes.is_empty() {
        return plain;
    }
    let meanings: Vec<&str> = causes.iter().take(NAMED_MAX).map(|cause| cause.meaning.as_str()).collect();
    let to_do = causes.iter().find_map(|cause| cause.to_do);
    let to_do = to_do.map(|to_do| format!("{} {}", GO_ON.of(language), to_do.of(language)));
    Told { meaning: meanings.join(" "), to_do: to_do.unwrap_or(plain.to_do) }
}
