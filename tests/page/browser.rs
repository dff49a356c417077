//! The page in a real browser: Chromium draws it narrow and wide, light and dark, well and not; and measures it.
//!
//! The pictures stay in `target/page`, for people to look at. Without Chromium the test says so and passes, unless
//! `TILLBOX_TESTS=strict` is set.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tillbox::{health::Condition, overview::Overview, page::html, texts::Language};

use crate::{fixture, jakarta, served};

/// Where Debian puts it, and where others do.
const PROGRAMS: [&str; 3] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// The narrowest phone that matters, a common one, a tablet, and a computer.
const WIDTHS: [u32; 4] = [320, 360, 768, 1_200];

/// Text is readable from this contrast on, in hundredths (WCAG 2, AA).
const CONTRAST_MIN: u64 = 450;

/// Measures each width in a frame of its own, and every text's contrast in it.
const MEASURE: &str = r#"<!doctype html><meta charset=utf-8><body style="margin:0"><script>
const html=atob("@HTML@"),text=new TextDecoder().decode(Uint8Array.from(html,c=>c.charCodeAt(0))),found=[];
const rgb=c=>(c.match(/[\d.]+/g)||[]).map(Number);
const light=c=>{const f=c.slice(0,3).map(v=>{v/=255;return v<=.03928?v/12.92:((v+.055)/1.055)**2.4});return .2126*f[0]+.7152*f[1]+.0722*f[2]};
function behind(e,w){for(;e;e=e.parentElement){const c=rgb(w.getComputedStyle(e).backgroundColor);if(c.length==3||c[3]>0)return c}return[255,255,255]}
function measure(width,frame){const w=frame.contentWindow,d=w.document,root=d.documentElement;let least=2100,what="";
 const walk=d.createTreeWalker(d.body,4);
 while(walk.nextNode()){const n=walk.currentNode,e=n.parentElement;if(!n.data.trim()||!e.getClientRects().length)continue;
  const a=light(rgb(w.getComputedStyle(e).color)),b=light(behind(e,w));
  const c=Math.round(100*(Math.max(a,b)+.05)/(Math.min(a,b)+.05));if(c<least){least=c;what=n.data.trim()}}
 const out=[...d.body.querySelectorAll("*")].filter(e=>e.getBoundingClientRect().right>width+1&&getComputedStyle(e).position!="absolute").map(e=>e.outerHTML.slice(0,80));
 found.push({width,scroll:root.scrollWidth,height:root.scrollHeight,least,what,out,lang:root.lang,headings:[...d.querySelectorAll("h1,h2,h3")].map(h=>h.tagName),scripts:d.scripts.length,lenses:[...d.querySelectorAll(".lens")].map(e=>w.getComputedStyle(e).animationName+" "+w.getComputedStyle(e).fill)});
 if(found.length==@COUNT@){const p=document.createElement("pre");p.id="found";p.textContent=JSON.stringify(found);document.body.replaceChildren(p)}}
for(const width of [@WIDTHS@]){const f=document.createElement("iframe");f.style.cssText=`width:${width}px;height:900px;border:0`;f.onload=()=>measure(width,f);f.srcdoc=text;document.body.append(f)}
</script>"#;

fn chromium() -> Option<&'static str> {
    let found = PROGRAMS.into_iter().find(|program| Path::new(program).exists());
    if found.is_none() {
        let strict = std::env::var_os("TILLBOX_TESTS").is_some_and(|value| value == "strict");
        assert!(!strict, "install Debian's package chromium");
        eprintln!("skipped: install Debian's package chromium to see the page in a browser");
    }
    found
}

/// Runs Chromium with a profile of its own.
fn run(program: &str, dark: bool, arguments: &[String], address: &str) -> Output {
    let profile = TempDir::new().expect("a temporary folder");
    let scheme = i32::from(!dark);
    let mut command = Command::new(program);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--virtual-time-budget=3000",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
    command.args(arguments).arg(address).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // What the page's own policy forbids is said on the console.
    assert!(!said.contains("Refused to") && !said.contains("Content Security Policy"), "{said}");
    output
}

fn measure(program: &str, overview: &Overview, language: Language, dark: bool) -> Vec<Value> {
    let folder = TempDir::new().expect("a temporary folder");
    let html = html::page(overview, &jakarta(), language);
    let widths = WIDTHS.map(|width| width.to_string()).join(",");
    let text = MEASURE
        .replace("@HTML@", &base64(html.as_bytes()))
        .replace("@WIDTHS@", &widths)
        .replace("@COUNT@", &WIDTHS.len().to_string());
    let file = folder.path().join("measure.html");
    fs::write(&file, text).expect("a file");
    let output = run(program, dark, &["--dump-dom".to_owned()], &format!("file://{}", file.display()));
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = dom.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let found = found.unwrap_or_else(|| panic!("nothing was measured: {dom}")).0;
    let found = found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&found).expect("what was measured")
}

#[test]
fn no_width_overflows_every_text_is_readable_and_lights_move_as_they_should() {
    let Some(program) = chromium() else { return };
    let states: [(&str, Overview); 6] = [
        ("healthy", fixture::healthy()),
        ("bare", fixture::by_bare_word()),
        ("holding", fixture::holding()),
        ("silent", fixture::with(Condition::FeedSilent)),
        ("faulty", fixture::faulty()),
        ("worst", fixture::worst()),
    ];
    for (name, overview) in states {
        for (language, dark) in [(Language::English, false), (Language::Indonesian, true)] {
            let found = measure(program, &overview, language, dark);
            assert_eq!(found.len(), WIDTHS.len());
            for of in found {
                let width = of["width"].as_u64().expect("a width");
                assert!(of["scroll"].as_u64() <= Some(width), "{name} at {width}: {of:#}");
                assert_eq!(of["out"], serde_json::json!([]), "{name} at {width}");
                assert!(
                    of["least"].as_u64() >= Some(CONTRAST_MIN),
                    "{name}, dark: {dark}: {} {}",
                    of["least"],
                    of["what"]
                );
                assert_eq!((of["lang"].as_str(), of["scripts"].as_u64()), (Some(language.code()), Some(0)));
                let headings: Vec<&str> =
                    of["headings"].as_array().expect("headings").iter().filter_map(Value::as_str).collect();
                assert_eq!((headings[0], headings.iter().filter(|h| **h == "H1").count()), ("H1", 1));
                assert!(!headings.windows(2).any(|pair| pair == ["H1", "H3"]), "{headings:?}");
                let lenses: Vec<&str> =
                    of["lenses"].as_array().expect("lights").iter().filter_map(Value::as_str).collect();
                let moves = match name {
                    "healthy" | "bare" => ["b rgb(47, 220, 132)", "none rgb(52, 61, 56)", "none rgb(52, 61, 56)"],
                    "holding" | "silent" => ["c rgb(47, 220, 132)", "none rgb(255, 192, 46)", "none rgb(52, 61, 56)"],
                    _ => ["c rgb(47, 220, 132)", "c rgb(255, 192, 46)", "none rgb(255, 81, 71)"],
                };
                assert_eq!(lenses, moves, "{name}");
            }
        }
    }
}

#[test]
fn pictures_are_drawn_under_the_pages_own_policy() {
    let Some(program) = chromium() else { return };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&folder).expect("a folder for the pictures");
    for (name, overview) in [
        ("healthy", fixture::healthy()),
        ("bare", fixture::by_bare_word()),
        ("holding", fixture::holding()),
        ("silent", fixture::with(Condition::FeedSilent)),
        ("faulty", fixture::faulty()),
    ] {
        let address = served(overview);
        for (width, height) in [(360, 3_300), (1_200, 2_200)] {
            for (scheme, dark, language) in [("light", false, "en"), ("dark", true, "id")] {
                let file = folder.join(format!("{name}-{width}-{scheme}.png"));
                let _none_yet = fs::remove_file(&file);
                let arguments = [format!("--screenshot={}", file.display()), format!("--window-size={width},{height}")];
                run(program, dark, &arguments, &format!("http://{address}/?lang={language}"));
                let bytes = fs::metadata(&file).map_or(0, |file| file.len());
                assert!(bytes > 10_000, "{} has {bytes} bytes", file.display());
            }
        }
    }
    eprintln!("the pictures lie in {}", folder.display());
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(part.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let sign = if at <= part.len() { SIGNS[bits >> (18 - 6 * at) & 63] } else { b'=' };
            text.push(char::from(sign));
        }
    }
    text
}

/// What the page's policy must name of its style.
pub fn style_sha256(style: &str) -> String {
    base64(ring::digest::digest(&ring::digest::SHA256, style.as_bytes()).as_ref())
}
