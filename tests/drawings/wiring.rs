//! What to solder: the header from above, and what hangs on each line of a profile.

use tillbox::{
    board::profile::{At, KNOWN, Light, Line, Profile, Role},
    config::{Board, Config},
};

use super::{
    RED, colour,
    sheet::{INK, PALE, Sheet, WIRE, bold, plain},
};

const PRINTER: &str = "#2c6fb3";
const GROUND: &str = "#4a4a4a";
const INPUTS: [Role; 3] = [Role::PaperLow, Role::PaperEnd, Role::PrinterFault];
const OUTPUTS: [Role; 2] = [Role::ReceiptReady, Role::ReceiptPulse];

/// From one row of pins to the next, from the top to the first row, and the header's middle.
const PITCH: i32 = 58;
const TOP: i32 = 190;
const X: i32 = 640;

/// A header, and what stands on the pins that no profile uses.
struct Header {
    file: &'static str,
    title: &'static str,
    note: &'static str,
    pins: u32,
    plus_3v3: &'static [u32],
    plus_5v: &'static [u32],
    grounds: &'static [u32],
    /// The grounds that the lights, the inputs and the outputs are shown on.
    used: [u32; 3],
}

const RASPBERRY_PI: Header = Header {
    file: "wiring-40-pin.svg",
    title: "Raspberry Pi: wiring of the 40-pin header",
    note: "Profiles raspberry-pi-zero, raspberry-pi-zero-2-w, raspberry-pi-3, raspberry-pi-4, raspberry-pi-5: all are \
           wired alike. None was tried by us yet.",
    pins: 40,
    plus_3v3: &[1, 17],
    plus_5v: &[2, 4],
    grounds: &[6, 9, 14, 20, 25, 30, 34, 39],
    used: [9, 39, 20],
};

const ORANGE_PI: Header = Header {
    file: "wiring-orange-pi-zero-3.svg",
    title: "Orange Pi Zero 3: wiring of the 26-pin header",
    note: "Profile orange-pi-zero-3: its pins agree with the maker's own tool. It was not tried by us yet.",
    pins: 26,
    plus_3v3: &[1, 17],
    plus_5v: &[2, 4],
    grounds: &[6, 9, 14, 20, 25],
    used: [9, 25, 20],
};

/// Each profile's name, the file that shows it, and how it is drawn.
pub fn all() -> Vec<(&'static str, &'static str, String)> {
    // All of one drawing must be wired alike: else they could not all be drawn as its file is.
    let drawn = KNOWN.map(|(name, _)| {
        let header = if name.starts_with("raspberry-pi") { &RASPBERRY_PI } else { &ORANGE_PI };
        let Some(Board::Profile(profile)) = Config::known_board(name) else { panic!("{name} is no profile") };
        (name, header.file, Wiring { sheet: header.sheet(), header, profile }.drawn())
    });
    drawn.into()
}

impl Header {
    fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::new(1_280, self.height(), self.title, false);
        sheet.text((40, 56), bold(28), self.title);
        sheet.text((40, 88), plain(15).filled(PALE), self.note);
        sheet
    }

    fn height(&self) -> i32 {
        TOP + rows(self.pins) * PITCH + 150
    }
}

fn rows(pins: u32) -> i32 {
    i32::try_from(pins / 2).expect("a header is short")
}

fn y_of(pin: u32) -> i32 {
    TOP + rows(pin - 1) * PITCH
}

/// What people call a line: its name, its number on a Raspberry Pi, or its port and number on an Allwinner chip, which
/// has 32 to a port.
fn label(header: &Header, line: &Line) -> String {
    match &line.at {
        At::Name(name) => name.clone(),
        At::Offset(offset) if header.pins == RASPBERRY_PI.pins => format!("GPIO{offset}"),
        At::Offset(offset) => {
            let port = u8::try_from(offset / 32).expect("few ports");
            format!("P{}{}", char::from(b'A' + port), offset % 32)
        }
    }
}

struct Wiring<'a> {
    sheet: Sheet,
    header: &'a Header,
    profile: Profile,
}

impl Wiring<'_> {
    fn drawn(mut self) -> String {
        self.pins();
        self.lights();
        self.inputs();
        self.outputs();
        self.notes();
        self.sheet.done()
    }

    fn line(&self, role: Role) -> &Line {
        self.profile.line(role).unwrap_or_else(|| panic!("{} has no {}", self.profile.name, role.name()))
    }

    /// Where a role's pin is.
    fn y(&self, role: Role) -> i32 {
        let pin = self.line(role).pin.unwrap_or_else(|| panic!("{} names no pin", role.name()));
        let left = pin % 2 == 1;
        assert_eq!(left, !OUTPUTS.contains(&role), "{} is drawn on its side of the header", role.name());
        y_of(pin)
    }

    fn pins(&mut self) {
        let above = plain(13).filled(PALE).middle();
        self.sheet.text((X, TOP - 62), above, "board, seen from above");
        self.sheet.text((X, TOP - 44), above, "pin 1 has a square pad");
        let tall = rows(self.header.pins) * PITCH + PITCH / 5;
        self.sheet.frame((X - 48, TOP - PITCH * 3 / 5), (96, tall), 8, ("#26303a", "#26303a", 20));
        for pin in 1..=self.header.pins {
            let (y, side) = (y_of(pin), if pin % 2 == 1 { -1 } else { 1 });
            let line = self.profile.lines.iter().find(|line| line.pin == Some(pin));
            let power = [(self.header.plus_3v3, "3.3 V"), (self.header.plus_5v, "5 V"), (self.header.grounds, "GND")];
            let power = power.iter().find(|(pins, _)| pins.contains(&pin)).map(|(_, name)| *name);
            assert!(line.is_none() || power.is_none(), "pin {pin} is both a line and {power:?}");
            let fill = match (line.map(|line| line.role), power) {
                (Some(Role::Light(light)), _) => colour(light),
                (Some(_), _) => PRINTER,
                (None, Some("GND")) => "#9aa5af",
                (None, Some(_)) => "#e6c15a",
                (None, None) => "#d5dce2",
            };
            self.sheet.dot((X + 22 * side, y), 14, fill);
            let number = bold(13).middle().filled(if line.is_some() { "#ffffff" } else { INK });
            self.sheet.text((X + 22 * side, y + 5), number, &pin.to_string());
            let name = line.map(|line| label(self.header, line)).or(power.map(ToOwned::to_owned));
            let of = plain(14).filled(if line.is_some() || self.header.used.contains(&pin) { INK } else { PALE });
            if let Some(name) = name {
                self.sheet.text((X + 60 * side, y + 5), if side < 0 { of.end() } else { of }, &name);
            }
        }
    }

    /// Each light: a resistor, the LED, the common ground.
    fn lights(&mut self) {
        let (ground, bus) = (y_of(self.header.used[0]), X - 420);
        let last = Light::ALL.map(|light| self.y(Role::Light(light))).into_iter().max().unwrap_or(ground);
        self.sheet.line(GROUND, 25, &[(X - 106, ground), (bus, ground), (bus, last)]);
        for light in Light::ALL {
            let y = self.y(Role::Light(light));
            let colour = colour(light);
            self.sheet.wire(&[(X - 128, y), (bus, y)]);
            self.resistor((X - 215, y), "330 Ω");
            self.sheet.triangle([(X - 321, y - 9), (X - 321, y + 9), (X - 338, y)], colour);
            self.sheet.line(INK, 30, &[(X - 339, y - 10), (X - 339, y + 10)]);
            self.sheet.dot((bus, y), 4, WIRE);
            let says = tillbox::texts::lights::colour(light).english.to_lowercase();
            self.sheet.text((bus - 16, y + 5), bold(17).filled(colour).end(), &format!("{} · {says}", light.name()));
        }
    }

    /// Each input: the transistor of an optocoupler, whose LED the printer lights.
    fn inputs(&mut self) {
        let (ground, bus) = (y_of(self.header.used[1]), X - 150);
        let first = INPUTS.map(|role| self.y(role)).into_iter().min().unwrap_or(ground);
        self.sheet.line(GROUND, 25, &[(X - 106, ground), (bus, ground), (bus, first + 14)]);
        for role in INPUTS {
            let y = self.y(role);
            assert!(self.line(role).active_low, "{} is drawn as one that is pulled to GND", role.name());
            self.sheet.wire(&[(X - 128, y), (X - 136, y), (X - 136, y - 14), (X - 190, y - 14)]);
            self.sheet.line(GROUND, 25, &[(X - 190, y + 14), (bus, y + 14)]);
            self.sheet.dot((bus, y + 14), 4, GROUND);
            self.optocoupler((X - 242, y));
            for (shift, sign, down) in [(-14, "+", -8), (14, "−", 19)] {
                self.sheet.line(PRINTER, 25, &[(X - 294, y + shift), (X - 430, y + shift)]);
                self.sheet.text((X - 440, y + down), bold(18).filled(PRINTER).end(), sign);
            }
            self.resistor((X - 360, y - 14), "R");
            self.sheet.text((X - 466, y + 5), bold(17).filled(PRINTER).end(), role.name());
        }
        self.sheet.text((40, first - 46), bold(15).filled(PALE), "From the printer");
    }

    /// Each output: the LED of an optocoupler, whose transistor the printer or counter reads.
    fn outputs(&mut self) {
        let (ground, bus) = (y_of(self.header.used[2]), X + 170);
        let first = OUTPUTS.map(|role| self.y(role)).into_iter().min().unwrap_or(ground);
        self.sheet.line(GROUND, 25, &[(X + 106, ground), (bus, ground), (bus, first + 14)]);
        for role in OUTPUTS {
            let y = self.y(role);
            self.sheet.wire(&[(X + 128, y), (X + 140, y), (X + 140, y - 14), (X + 330, y - 14)]);
            self.resistor((X + 240, y - 14), "330 Ω");
            self.sheet.line(GROUND, 25, &[(X + 330, y + 14), (bus, y + 14)]);
            self.sheet.dot((bus, y + 14), 4, GROUND);
            self.optocoupler((X + 382, y));
            for (shift, name) in [(-14, "C"), (14, "E")] {
                self.sheet.line(PRINTER, 25, &[(X + 434, y + shift), (X + 462, y + shift)]);
                self.sheet.text((X + 470, y + shift + 5), plain(14).filled(PRINTER), name);
            }
            self.sheet.text((X + 490, y + 5), bold(17).filled(PRINTER), role.name());
        }
        self.sheet.text((X + 330, first - 46), bold(15).filled(PALE), "To the printer or a counter");
    }

    fn notes(&mut self) {
        let foot = self.header.height() - 104;
        let notes = [
            "LED: the flat side and the short leg go to GND. Optocouplers such as PC817, one for each printer line: \
             they keep the printer's voltage off the board.",
            "R at the printer's voltage: 5 V 750 Ω · 12 V 2.2 kΩ · 24 V 4.7 kΩ. A closed contact pulls the pin to GND: \
             active-low, with the pin's own pull-up.",
        ];
        for (at, note) in (0..).zip(notes) {
            self.sheet.text((40, foot + 26 * at), plain(15), note);
        }
        let warning = "No pin bears more than 3.3 V. Without a printer leave its lines open. Switch the power off \
                       before you wire.";
        self.sheet.text((40, foot + 52), bold(15), warning);
    }

    fn resistor(&mut self, (x, y): (i32, i32), text: &str) {
        self.sheet.frame((x - 36, y - 10), (72, 20), 3, ("#fbf3df", WIRE, 20));
        self.sheet.text((x, y + 5), plain(13).middle(), text);
    }

    /// An optocoupler's frame: its LED on the left and its transistor on the right.
    fn optocoupler(&mut self, (x, y): (i32, i32)) {
        self.sheet.frame((x - 52, y - 24), (104, 48), 4, ("#eef2f6", INK, 20));
        let led = [(x - 52, y - 14), (x - 26, y - 14), (x - 26, y + 14), (x - 52, y + 14)];
        self.sheet.line(WIRE, 20, &led);
        self.sheet.triangle([(x - 35, y - 6), (x - 17, y - 6), (x - 26, y + 7)], RED);
        self.sheet.line(INK, 25, &[(x - 35, y + 8), (x - 17, y + 8)]);
        for shift in [-5, 3] {
            self.sheet.line(RED, 15, &[(x - 8, y + shift), (x + 6, y + shift)]);
            self.sheet.dot((x + 6, y + shift), 2, RED);
        }
        let base = x + 20;
        self.sheet.line(WIRE, 40, &[(base, y - 13), (base, y + 13)]);
        for way in [-1, 1] {
            self.sheet.line(WIRE, 20, &[(base, y + 5 * way), (x + 36, y + 14 * way), (x + 52, y + 14 * way)]);
        }
    }
}
