//! Certificates for one test, made by the `openssl` program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// An authority, in a folder of its own.
pub struct Authority {
    folder: PathBuf,
}

/// A certificate and its key, as files.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("a folder for the authority");
        let this = Self { folder };
        this.openssl(&format!("req -x509 {NEW_KEY} -keyout ca.key -out ca.crt -days 30 -subj /CN={name}"));
        this
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Certifies a server or client of this name at the loopback.
    pub fn certify(&self, name: &str) -> Identity {
        fs::write(self.folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("a file");
        self.openssl(&format!("req -new {NEW_KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 30 -extfile names"
        ));
        let file = |extension| self.folder.join(format!("{name}.{extension}"));
        Identity { certificate: file("crt"), key: file("key") }
    }

    fn openssl(&self, arguments: &str) {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(&self.folder).output();
        let output = run.unwrap_or_else(|error| panic!("openssl: {error}; install Debian's package openssl"));
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
