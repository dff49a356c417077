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

/// Where a line is, without taking it: its number, its chip, and whether this program has it already.
///
/// # Errors
/// It is not there, there is more than one, or something else has it.
pub fn look(line: &Line) -> Result<String, LineFault> {
    let (chip, found) = find(line)?;
    let place = format!("line {} of {}", found.offset(), called(&chip));
    match found.info().map_err(|error| LineFault::Lost(error.to_string()))? {
        info if !info.is_used() => Ok(place),
        info if info.consumer() == Some(CONSUMER) => Ok(format!("{place}, in use by the running tillbox")),
        info => Err(LineFault::Busy { by: info.consumer().unwrap_or("the kernel").to_owned() }),
    }
}

fn request(line: &Line, flags: LineRequestFlags, level: u8) -> Result<CdevPin, LineFault> {
    let (_, found) = find(line)?;
    found.request(flags, level, CONSUMER).and_then(CdevPin::new).map_err(|error| match found.info() {
        Ok(info) if info.is_used() => LineFault::Busy { by: info.consumer().unwrap_or("the kernel").to_owned() },
        _ => LineFault::Lost(error.to_string()),
    })
}

fn find(line: &Line) -> Result<(Chip, gpio_cdev::Line), LineFault> {
    let (mut chips, denied) = chips();
    if chips.is_empty() {
        return Err(denied.unwrap_or(LineFault::NoChips));
    }
    if let Some(wanted) = &line.chip {
        let here = listed(&chips);
        chips.retain(|chip| is_called(chip, wanted));
        if chips.is_empty() {
            return Err(denied.unwrap_or(LineFault::NoChip { chip: wanted.clone(), found: here }));
        }
    }
    let mut matching: Vec<_> = chips.iter().flat_map(|chip| lines_of(chip, &line.at)).collect();
    let told = line.to_string();
    match (matching.pop(), matching.is_empty()) {
        (Some(found), true) => Ok((found.chip(), found)),
        (Some(found), false) => {
            matching.push(found);
            let chips: Vec<_> = matching.iter().map(gpio_cdev::Line::chip).collect();
            Err(LineFault::Ambiguous { line: told, found: listed(&chips) })
        }
        (None, _) => Err(denied.unwrap_or(LineFault::NoLine { line: told, found: listed(&chips) })),
    }
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

fn is_called(chip: &Chip, wanted: &str) -> bool {
    [chip.label(), chip.name()].contains(&wanted) || chip.path() == Path::new(wanted)
}

/// Every chip that can be opened, in the order of their names, and why another cannot.
fn chips() -> (Vec<Chip>, Option<LineFault>) {
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
    (chips, denied)
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

fn listed(chips: &[Chip]) -> String {
    chips.iter().map(called).collect::<Vec<_>>().join(" and ")
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
