//! The table `[board]`: a profile by name or path, and what the config changes of it.
//!
//! A profile in a file of its own is read by the same walk as the config. Its faults have places in that file, so they
//! are told with its name, at the key that names it.

use std::{ops::RangeInclusive, path::Path};

use super::{
    Board,
    files::Origin,
    nearest::suggestion,
    read::{Document, Read, Table, Value, shown},
    value,
};
use crate::board::profile::{At, Bias, KNOWN, Light, Line, Profile, Role};

/// The name for no hardware.
const NONE: &str = "none";

/// No maker names chips or lines longer: the kernel gives 31 characters.
const MAX_NAME_CHARS: usize = 31;
const OFFSET: RangeInclusive<u32> = 0..=1_023;
const PIN: RangeInclusive<u32> = 1..=200;

const A_LINE: &str = "give the line's `line`, its name, or its `offset` on the chip; `gpioinfo` lists both";

/// The keys of `[board]`.
pub(super) fn board(table: &mut Table, origin: &Origin) -> Board {
    let given = table.or("profile", NONE.to_owned(), |found| {
        found.text("a profile's name or its path in quotes").map(ToOwned::to_owned)
    });
    let profile = match profile(&given, origin) {
        Ok(profile) => Some(profile),
        Err(faults) => {
            for fault in faults {
                table.fault("profile", fault);
            }
            None
        }
    };
    let lines = profile.as_ref().map_or_else(Vec::new, |profile| profile.lines.clone());
    let is_read = profile.is_some();
    let lines = table.table("lines", None, |table| Some(changed(table, &lines, is_read))).unwrap_or(lines);
    match profile {
        Some(Profile { name, .. }) if !lines.is_empty() => Board::Profile(Profile { name, lines }),
        _ => Board::None,
    }
}

/// The profile of that name which comes with the program.
pub(super) fn known(name: &str) -> Option<Profile> {
    KNOWN.iter().find(|(known, _)| *known == name).and_then(|(name, text)| read(name, text, name).ok())
}

/// The profile of that name, or at that path; or what is wrong with it.
fn profile(given: &str, origin: &Origin) -> Result<Profile, Vec<String>> {
    if given == NONE {
        return Ok(Profile { name: NONE.to_owned(), lines: Vec::new() });
    }
    if let Some((name, text)) = KNOWN.iter().find(|(name, _)| *name == given) {
        return read(name, text, name);
    }
    if !given.contains('/') && Path::new(given).extension() != Some("toml".as_ref()) {
        let names = || KNOWN.iter().map(|(name, _)| *name).chain([NONE]);
        let list = names().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let meant = suggestion(given, names());
        return Err(vec![format!("{} is no known board; expected {list} or a path{meant}", shown(given))]);
    }
    let text = origin.profile(given).map_err(|fault| vec![fault])?;
    read(given, &text, given)
}

fn read(name: &str, text: &str, file: &str) -> Result<Profile, Vec<String>> {
    let document = Document::parse(text);
    let lines = document.read(file.as_ref(), |root| {
        // For people alone.
        root.require(&["name"], "add a line such as `name = \"My board\"`");
        let _title = root.optional("name", value::name);
        let chip = root.optional("chip", chip);
        root.table("lines", Some("write `[lines.sync]`, `[lines.hold]`, `[lines.fault]`"), |table| {
            for light in Light::ALL {
                table.require(&[light.name()], &format!("write `[lines.{}]` with its line", light.name()));
            }
            let lines = lines(table, |table, role| line(table, role, None, chip.as_deref()));
            Some(lines)
        })
    });
    let lines = lines.map_err(|faults| faults.to_string().lines().map(ToOwned::to_owned).collect::<Vec<_>>())?;
    Ok(Profile { name: name.to_owned(), lines })
}

/// A profile's lines after what the config changes.
fn changed(table: &mut Table, profile: &[Line], is_read: bool) -> Vec<Line> {
    lines(table, |table, role| {
        let base = profile.iter().find(|line| line.role == role);
        let Some(table) = table else { return base.cloned() };
        if !is_read {
            // What the lines were is not known, so nothing can be said to be missing; the keys are looked at all the same.
            let _keys = Given::read(table, role);
            return None;
        }
        change(table, role, base, None)
    })
}

/// The lines of all roles; `line` is given a role's table where there is one.
fn lines(table: &mut Table, mut line: impl FnMut(Option<&mut Table>, Role) -> Option<Line>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for role in Role::ALL {
        let read = if table.has(role.name()) {
            table.table(role.name(), None, |table| line(Some(table), role))
        } else {
            // So that the name is known.
            let _absent = table.optional(role.name(), |_| Ok(()));
            line(None, role)
        };
        let Some(read) = read else { continue };
        match lines.iter().find(|line| line.is_same_pin(&read)) {
            Some(other) => {
                let key = if table.has(role.name()) { role } else { other.role };
                let (one, two) = (other.role.name(), role.name());
                table.fault(key.name(), format!("`{one}` and `{two}` are both on {read}; give each a line of its own"));
            }
            None => lines.push(read),
        }
    }
    lines
}

fn line(table: Option<&mut Table>, role: Role, base: Option<&Line>, chip: Option<&str>) -> Option<Line> {
    table.map_or_else(|| base.cloned(), |table| change(table, role, base, chip))
}

/// The keys of one line as they are given.
#[derive(Default)]
struct Given {
    line: Option<String>,
    offset: Option<u32>,
    chip: Option<String>,
    pin: Option<u32>,
    active_low: Option<bool>,
    bias: Option<Bias>,
    used: Option<bool>,
}

impl Given {
    fn read(table: &mut Table, role: Role) -> Self {
        let given = Self {
            line: table.optional("line", line_name),
            offset: table.optional("offset", |found| value::count(found, &OFFSET)),
            chip: table.optional("chip", chip),
            pin: table.optional("pin", |found| value::count(found, &PIN)),
            active_low: table.optional("active-low", Value::boolean),
            bias: table.optional("bias", |found| {
                let words = [("pull-up", Bias::PullUp), ("pull-down", Bias::PullDown), ("disabled", Bias::Disabled)];
                value::one_of(found, &words)
            }),
            used: table.optional("used", Value::boolean),
        };
        if given.line.is_some() && given.offset.is_some() {
            table.fault("offset", "`line` is given too; keep one of them");
        }
        if given.bias.is_some() && role.is_output() {
            table.fault("bias", format!("has no use for `{}`, which the box drives; take it out", role.name()));
        }
        given
    }
}

/// A line after the changes of a table; `None` if it is not used, or is not whole.
fn change(table: &mut Table, role: Role, base: Option<&Line>, chip: Option<&str>) -> Option<Line> {
    let given = Given::read(table, role);
    if given.used == Some(false) {
        return None;
    }
    if base.is_none() {
        table.require(&["line", "offset"], A_LINE);
    }
    let moved = given.line.is_some() || given.offset.is_some();
    let at = given.line.map(At::Name).or(given.offset.map(At::Offset));
    let at = at.or_else(|| base.map(|base| base.at.clone()))?;
    let chip = given.chip.or_else(|| base.and_then(|base| base.chip.clone())).or_else(|| chip.map(ToOwned::to_owned));
    if matches!(at, At::Offset(_)) && chip.is_none() {
        table.require(&["chip"], "an `offset` counts on one chip; give its label, as `gpiodetect` shows it");
    }
    Some(Line {
        role,
        chip,
        at,
        pin: given.pin.or_else(|| base.filter(|_| !moved).and_then(|base| base.pin)),
        active_low: given.active_low.or_else(|| base.map(|base| base.active_low)).unwrap_or(false),
        bias: given.bias.or_else(|| base.and_then(|base| base.bias)),
    })
}

fn chip(found: &Value) -> Read<String> {
    plain(found, "a chip's label in quotes, as `gpiodetect` shows it, such as \"pinctrl-bcm2711\"")
}

fn line_name(found: &Value) -> Read<String> {
    plain(found, "a line's name in quotes, as `gpioinfo` shows it, such as \"GPIO17\"")
}

fn plain(found: &Value, expected: &str) -> Read<String> {
    let text = found.text(expected)?;
    if (1..=MAX_NAME_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Ok(text.to_owned());
    }
    Err(format!("{} is none; expected {expected}", shown(text)))
}
