//! The boot partition: which file of it is the config, and which was meant to be.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::report::REPORT;

/// The config's name on the boot partition.
pub const NAME: &str = "tillbox.toml";

/// No boot partition holds more files at its top; a folder with more is not looked through.
const LOOKED_AT_MAX: usize = 4_096;

/// What stands on the boot partition.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing for us.
    Nothing,
    /// A file with the right name, in whatever case.
    Config(PathBuf),
    /// Files that were probably meant to be it.
    Misnamed(PathBuf, Vec<String>),
}

/// Looks through the folders at which a boot partition may be mounted; the first that holds something counts.
pub(super) fn find(folders: &[PathBuf]) -> Found {
    let looked = folders.iter().map(|folder| look(folder)).find(|found| *found != Found::Nothing);
    looked.unwrap_or(Found::Nothing)
}

fn look(folder: &Path) -> Found {
    let Ok(entries) = fs::read_dir(folder) else { return Found::Nothing };
    let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
    let entries = entries.take(LOOKED_AT_MAX).filter_map(Result::ok).filter(is_file);
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    // FAT knows no case; another file system may hold two.
    let rightly = names.iter().find(|name| *name == NAME).or_else(|| names.iter().find(|name| is_name(name)));
    if let Some(name) = rightly {
        return Found::Config(folder.join(name));
    }
    names.retain(|name| is_meant(name));
    if names.is_empty() { Found::Nothing } else { Found::Misnamed(folder.to_owned(), names) }
}

fn is_name(name: &str) -> bool {
    name.eq_ignore_ascii_case(NAME)
}

/// `tillbox.toml.txt` from an editor that adds an ending which Windows hides, `tillbox (1).toml` from a browser,
/// `TILLBO~1.TOM` from a program that knows short names only.
fn is_meant(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ending = [".toml", ".txt", ".tom", ".toml.bak"].iter().any(|ending| name.ends_with(ending));
    let begins = name.starts_with("tillbox") || name.starts_with("tillbo~");
    begins && ending && name != REPORT && !name.contains("example")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_is_found_in_any_case_and_what_was_meant_to_be_it_is_named() {
        let boot = tempfile::tempdir().unwrap();
        let folders = [PathBuf::from("/nonexistent"), boot.path().to_owned()];
        for name in ["cmdline.txt", "config.txt", REPORT, "tillbox.example.toml", "._tillbox.toml"] {
            fs::write(boot.path().join(name), "").unwrap();
        }
        fs::create_dir(boot.path().join("tillbox.txt")).unwrap();
        assert_eq!(find(&folders), Found::Nothing);
        let meant = ["TILLBO~1.TOM", "Tillbox.TOML.txt", "tillbox (1).toml", "tillbox.toml.bak"];
        for name in meant {
            fs::write(boot.path().join(name), "").unwrap();
        }
        let names = meant.iter().map(ToString::to_string).collect();
        assert_eq!(find(&folders), Found::Misnamed(boot.path().to_owned(), names));
        fs::write(boot.path().join("TILLBOX.TOML"), "").unwrap();
        assert_eq!(find(&folders), Found::Config(boot.path().join("TILLBOX.TOML")));
        fs::write(boot.path().join(NAME), "").unwrap();
        assert_eq!(find(&folders), Found::Config(boot.path().join(NAME)));
    }
}
