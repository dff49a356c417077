//! Certificates for one test, made by the `openssl` program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use super::wait::{PATIENCE, until};

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
        this.openssl(&format!("req -x509 {NEW_KEY} -keyout ca.key -out ca.crt -days 90 -subj /CN={name}"));
        this
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Certifies a server or client of this name at the loopback.
    pub fn certify(&self, name: &str) -> Identity {
        self.certify_for(name, "IP:127.0.0.1,DNS:localhost", 90)
    }

    /// Certifies a server or client for other names, and for so many days from now on; one for no day is over already.
    pub fn certify_for(&self, name: &str, names: &str, days: u32) -> Identity {
        fs::write(self.folder.join("names"), format!("subjectAltName={names}\n")).expect("a file");
        self.openssl(&format!("req -new {NEW_KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days {days} -extfile names"
        ));
        let certified = SystemTime::now();
        let is_over = || certified.elapsed().is_ok_and(|elapsed| elapsed > Duration::from_secs(1)).then_some(());
        if days == 0 {
            until(PATIENCE, is_over, || "the second is not over".to_owned());
        }
        let file = |extension| self.folder.join(format!("{name}.{extension}"));
        Identity { certificate: file("crt"), key: file("key") }
    }

    fn openssl(&self, arguments: &str) {
        openssl(&self.folder, arguments);
    }
}

/// How a server's own certificate was made, which nobody else vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// `openssl req -x509`: it calls itself an authority, and has no name but `kasir`.
    Usual,
    /// The same with an RSA key.
    Rsa,
    /// X.509 v1, as `openssl x509 -req -signkey` makes it.
    Version1,
    /// It has ended.
    Ended,
}

impl Identity {
    /// A server's own certificate, in a folder of its own.
    pub fn own(folder: &Path, name: &str, own: Own) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("a folder for the certificate");
        let file = |name: &str| folder.join(name);
        let this = Self { certificate: file("own.crt"), key: file("own.key") };
        let key = if own == Own::Rsa { "-newkey rsa:2048 -nodes" } else { NEW_KEY };
        match own {
            Own::Usual | Own::Rsa => {
                openssl(&folder, &format!("req -x509 {key} -keyout own.key -out own.crt -days 90 -subj /CN=kasir"));
            }
            Own::Version1 | Own::Ended => {
                let days = if own == Own::Ended { 0 } else { 90 };
                openssl(&folder, &format!("req -new {key} -keyout own.key -out own.csr -subj /CN=kasir"));
                openssl(&folder, &format!("x509 -req -in own.csr -signkey own.key -out own.crt -days {days}"));
            }
        }
        let shown = openssl(&folder, "x509 -in own.crt -noout -text");
        let (version, calls_itself) = match own {
            Own::Usual | Own::Rsa => ("Version: 3", shown.contains("CA:TRUE")),
            Own::Version1 | Own::Ended => ("Version: 1", true),
        };
        assert!(shown.contains(version) && calls_itself, "{own:?}: {shown}");
        this
    }

    /// The same certificate, shown by somebody who has another key.
    pub fn impostor(&self, folder: &Path) -> Self {
        openssl(folder, "ecparam -name prime256v1 -genkey -noout -out impostor.key");
        Self { certificate: self.certificate.clone(), key: folder.join("impostor.key") }
    }
}

fn openssl(folder: &Path, arguments: &str) -> String {
    let run = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let output = run.unwrap_or_else(|error| panic!("openssl: {error}; install Debian's package openssl"));
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
