//! The report on the boot partition: plain text for whoever puts the card into a computer, with Windows' line ends.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use crate::texts::{Language, Text};

/// Its name on the boot partition.
pub const REPORT: &str = "tillbox-report.txt";

/// A report in the making.
pub(super) struct Report(String);

impl Report {
    /// A report that begins with what happened, in both languages.
    pub(super) fn of(happened: &[Text]) -> Self {
        let mut report = Self(format!("TILLBOX {}\n", env!("CARGO_PKG_VERSION")));
        for language in Language::ALL {
            report.0.push('\n');
            for text in happened {
                report.paragraph(text.of(language));
            }
        }
        report
    }

    /// What the box found, as it would print it.
    #[must_use]
    pub(super) fn with(mut self, detail: &str) -> Self {
        self.0.push('\n');
        for line in detail.lines() {
            self.0.push_str(line.trim_end());
            self.0.push('\n');
        }
        self
    }

    /// Writes the report. One that says the same already is left alone: a card does not wear by what is no news.
    pub(super) fn write(self, folder: &Path) -> io::Result<()> {
        let text = self.0.replace('\n', "\r\n");
        let path = folder.join(REPORT);
        if fs::read(&path).is_ok_and(|known| known == text.as_bytes()) {
            return Ok(());
        }
        let mut file = File::create(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Old editors do not break lines.
    fn paragraph(&mut self, text: &str) {
        const WIDTH: usize = 76;
        let mut column = 0;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if column > 0 && column + 1 + length > WIDTH {
                self.0.push('\n');
                column = 0;
            } else if column > 0 {
                self.0.push(' ');
                column += 1;
            }
            self.0.push_str(word);
            column += length;
        }
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::report::{GOES_ON, REFUSED};

    #[test]
    fn a_report_reads_in_an_old_editor() {
        let folder = tempfile::tempdir().unwrap();
        Report::of(&[REFUSED, GOES_ON]).with("tillbox.toml:1:2: a fault").write(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(REPORT)).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 76), "{text}");
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert!(
            text.contains("did NOT take over") && text.contains("BELUM") && text.ends_with("a fault\r\n"),
            "{text}"
        );
    }
}
