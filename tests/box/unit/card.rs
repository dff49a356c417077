//! The card's boot partition as any computer shows it: by mtools, without a mount.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where the boot partition begins and how long it is: as `tests/box/systemd` lays the card out.
const BEGIN: usize = 1 << 20;
const LENGTH: usize = 64 << 20;

/// A card outside of the box.
pub struct Card(PathBuf);

impl Card {
    /// Flashes a card.
    pub fn flash(image: &Path, card: PathBuf) -> Self {
        let copied = Command::new("cp").arg("--sparse=always").args([image, &card]).status();
        assert!(copied.is_ok_and(|status| status.success()), "{} is copied", image.display());
        Self(card)
    }

    /// Writes a file onto the boot partition, over one of the same name.
    pub fn put(&self, name: &str, text: &str) {
        let file = self.0.with_file_name("put");
        fs::write(&file, text).unwrap();
        self.mtools("mcopy", &["-o", &file.display().to_string(), &format!("::{name}")]);
    }

    /// The names on the boot partition.
    pub fn names(&self) -> Vec<String> {
        self.mtools("mdir", &["-b", "::"]).lines().map(|line| line.trim_start_matches("::/").to_owned()).collect()
    }

    /// What a file on the boot partition holds.
    pub fn read(&self, name: &str) -> String {
        self.mtools("mtype", &[&format!("::{name}")])
    }

    /// Whether these bytes stand anywhere on the boot partition, in a file or in none.
    pub fn holds(&self, bytes: &str) -> bool {
        let mut card = fs::File::open(&self.0).unwrap();
        let mut partition = vec![0; BEGIN + LENGTH];
        card.read_exact(&mut partition).unwrap();
        partition.windows(bytes.len()).any(|window| window == bytes.as_bytes())
    }

    fn mtools(&self, tool: &str, words: &[&str]) -> String {
        let image = format!("{}@@1M", self.0.display());
        let mut command = Command::new(tool);
        // A power cut leaves the mark of a partition that was in use, which is no matter here.
        command.env("MTOOLS_SKIP_CHECK", "1").args(["-i", &image]).args(words).stdin(Stdio::null());
        let said = command.output().unwrap_or_else(|error| panic!("{tool}: {error}"));
        assert!(said.status.success(), "{tool} {words:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).into_owned()
    }
}
