//! The demonstration as a person runs it: it proves what holds, and catches what does not.

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_tillbox")).arg("demo").args(arguments).output().expect("the program");
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

#[test]
fn a_day_is_proven() {
    let (code, said) = demo(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("120 = Rp") && said.contains("0 missing, 0 counted twice"), "{said}");
    assert!(said.contains("Proven: HQ holds every sale exactly as it was, each once."), "{said}");
    assert!(!said.contains('\u{1b}'), "no terminal, no colours: {said}");
}

#[test]
fn a_sale_that_is_withheld_is_caught() {
    let (code, said) = demo(&["--sabotage", "drop-one"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 missing") && said.contains("NOT PROVEN"), "{said}");
}
