//! Real lines: the GPIO character devices of Linux, by `linux-embedded-hal`.
//!
//! A chip is found by its label, as its number is not the same for all kernels. Lines are asked for without the
//! kernel's own active-low flag: `CdevPin` takes it back, so that high always means the pin's own level.
//!
//! The kernel gives a line back when its handle is closed, also after SIGKILL; what level it then has is the driver's
//! choice, so the panel makes it dark before.

use std::{
    error::Error as _,
    fs, io,
    path::{Path, PathBuf},
};

use linux_embedded_hal::{
    CdevPin,
    gpio_cdev::{self, Chip, LineRequestFlags},
};

use super::{
    lines::{LineFault, Lines},
    profile::{At, Bias, Line},
};

/// What the kernel tells others of who has the line.
const CONSUMER: &str = "tillbox";

/// Where the devices are.
const DEVICES: &str = "/dev";

/// How the devices' names begin.
const DEVICE: &str = "gpiochip";

/// The kernel's flags for biases (`GPIOHANDLE_REQUEST_BIAS_…`, since Linux 5.5), which `gpio_cdev` passes on but has no
/// names for.
const BIAS_PULL_UP: u32 = 1 << 5;
const BIAS_PULL_DOWN: u32 = 1 << 6;
const BIAS_DISABLE: u32 = 1 << 7;

/// The lines of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gpio;

impl Lines for Gpio {
    type Output = CdevPin;
    type Input = CdevPin;

    fn output(&mut self, line: &Line, high: bool) -> Result<CdevPin, LineFault> {
        request(line, LineRequestFlags::OUTPUT, u8::from(high))
    }

    fn input(&mut self, line: &Line) -> Result<CdevPin, LineFault> {
        let bias = match line.bias {
            None => 0,
            Some(Bias::PullUp) => BIAS_PULL_UP,
            Some(Bias::PullDown) => BIAS_PULL_DOWN,
            Some(Bias::Disabled) => BIAS_DISABLE,
        };
        request(line, LineRequestFlags::from_bits_retain(LineRequestFlags::INPUT.bits() | bias), 0)
    }
}

/// Where a line is, without taking it: its chip and its number there.
///
/// # Errors
/// It is not there, or there is more than one.
pub fn look(line: &Line) -> Result<(String, u32), LineFault> {
    find(line).map(|(chip, found)| (called(&chip), found.offset()))
}

fn request(line: &Line, flags: LineRequestFlags, level: u8) -> Result<CdevPin, LineFault> {
    let (_, found) = find(line)?;
    found.request(flags, level, CONSUMER).and_then(CdevPin::new).map_err(|error| match found.info() {
        Ok(info) if info.is_used() => LineFault::Busy { by: info.consumer().unwrap_or("the kernel").to_owned() },
        _ => LineFault::Lost(error.to_string()),
    })
}

fn find(line: &Line) -> Result<(Chip, gpio_cdev::Line), LineFault> {
    let chips = match &line.chip {
        Some(chip) => chips_called(chip)?,
        None => chips()?,
    };
    let listed = |chips: &[&Chip]| chips.iter().map(|chip| called(chip)).collect::<Vec<_>>().join(" and ");
    let mut matching = Vec::new();
    for chip in &chips {
        matching.extend(lines_of(chip, &line.at).into_iter().map(|found| (chip, found)));
    }
    match matching.len() {
        1 => {}
        0 => {
            let found = listed(&chips.iter().collect::<Vec<_>>());
            return Err(LineFault::NoLine { line: line.to_string(), found });
        }
        _ => {
            let found = listed(&matching.iter().map(|(chip, _)| *chip).collect::<Vec<_>>());
            return Err(LineFault::Ambiguous { line: line.to_string(), found });
        }
    }
    let (_, found) = matching.remove(0);
    Ok((found.chip(), found))
}

/// The lines of a chip that are meant: a chip may use a name twice.
fn lines_of(chip: &Chip, at: &At) -> Vec<gpio_cdev::Line> {
    chip.lines()
        .filter(|line| match at {
            At::Offset(offset) => line.offset() == *offset,
            At::Name(name) => line.info().is_ok_and(|info| info.name() == Some(name)),
        })
        .collect()
}

fn chips_called(wanted: &str) -> Result<Vec<Chip>, LineFault> {
    let mut chips = chips()?;
    let is_wanted = |chip: &Chip| [chip.label(), chip.name()].contains(&wanted) || chip.path() == Path::new(wanted);
    if !chips.iter().any(is_wanted) {
        let found = chips.iter().map(called).collect::<Vec<_>>().join(" and ");
        return Err(LineFault::NoChip { chip: wanted.to_owned(), found });
    }
    chips.retain(is_wanted);
    Ok(chips)
}

/// Every chip, in the order of their names.
fn chips() -> Result<Vec<Chip>, LineFault> {
    let (mut chips, mut denied) = (Vec::new(), None);
    for path in devices(Path::new(DEVICES)) {
        match Chip::new(&path) {
            Ok(chip) => chips.push(chip),
            Err(error) => {
                let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
                // One that is just going away, or is none, is of no interest.
                if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied) {
                    denied = Some(LineFault::Denied { chip: path.display().to_string(), reason: error.to_string() });
                }
            }
        }
    }
    if chips.is_empty() { Err(denied.unwrap_or(LineFault::NoChips)) } else { Ok(chips) }
}

/// The devices in a folder. A link is another name for one: on a Raspberry Pi 5 gpiochip4 is a link to gpiochip0.
fn devices(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let chips = entries.filter(|entry| {
        entry.file_name().to_string_lossy().starts_with(DEVICE)
            && entry.file_type().is_ok_and(|kind| !kind.is_symlink())
    });
    let mut paths: Vec<_> = chips.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn called(chip: &Chip) -> String {
    format!("{} ({})", chip.name(), chip.label())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_to_a_chip_is_not_a_second_chip() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["gpiochip10", "gpiochip0", "gpiomem0"] {
            fs::write(folder.path().join(name), "").expect("written");
        }
        symlink("gpiochip0", folder.path().join("gpiochip4")).expect("linked");
        let names: Vec<_> = devices(folder.path()).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["gpiochip0", "gpiochip10"]);
    }
}
