//! Plots as SVG: bars of several engines side by side, and lines.

use std::fmt::Write;

use super::report::escape;

/// Bars in groups, a bar per engine and group.
pub struct Bars {
    pub engines: Vec<String>,
    pub groups: Vec<Group>,
}

/// The bars of one query.
pub struct Group {
    pub name: String,
    /// One per engine; `None` where it has no result.
    pub values: Vec<Option<f64>>,
}

const COLORS: [&str; 6] = ["#0b6e99", "#e4a11b", "#7d8a97", "#b5533c", "#5a8f5a", "#7b5ea7"];
const WIDTH: f64 = 960.0;
const LABEL: f64 = 60.0;
const BAR: f64 = 11.0;

/// Horizontal bars; each group is drawn to its own fastest engine, so that slow queries can be read as well.
pub fn bars(bars: &Bars) -> String {
    let group_height = bars.engines.len() as f64 * BAR + 8.0;
    let height = 26.0 + bars.groups.len() as f64 * group_height;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n");
    let mut x = LABEL;
    for (engine, color) in bars.engines.iter().zip(COLORS.iter().cycle()) {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"4\" width=\"10\" height=\"10\" fill=\"{color}\"/><text x=\"{}\" y=\"13\" font-size=\"12\">{}</text>",
            x + 14.0,
            escape(engine)
        );
        x += 34.0 + engine.len() as f64 * 7.0;
    }
    for (row, group) in bars.groups.iter().enumerate() {
        let top = 26.0 + row as f64 * group_height;
        let best = group.values.iter().flatten().fold(f64::MIN_POSITIVE, |a, b| a.max(*b));
        let middle = top + group_height / 2.0;
        let _ = writeln!(svg, "<text x=\"0\" y=\"{middle}\" font-size=\"12\">{}</text>", escape(&group.name));
        for (index, (value, color)) in group.values.iter().zip(COLORS.iter().cycle()).enumerate() {
            let y = top + index as f64 * BAR;
            let Some(value) = value else { continue };
            let width = (value / best * (WIDTH - LABEL - 90.0)).max(1.0);
            let _ = writeln!(
                svg,
                "<rect x=\"{LABEL}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{color}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#5b6b7a\">{}</text>",
                BAR - 1.5,
                LABEL + width + 4.0,
                y + BAR - 3.0,
                seconds(1.0 / value)
            );
        }
    }
    svg + "</svg>"
}

fn seconds(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// A line per query: threads to the right, speed upwards, and the line of perfect scaling behind.
pub fn scaling(lines: &[(String, Vec<(f64, f64)>)]) -> String {
    let most = lines.iter().flat_map(|(_, points)| points).fold(1.0f64, |most, (x, y)| most.max(*x).max(*y));
    lines_plot(lines, (most, most), ("threads", "times as fast as one"), true)
}

/// A line per load: milliseconds to the right, the share of events upwards.
pub fn distribution(lines: &[(String, Vec<(f64, f64)>)]) -> String {
    let most = lines.iter().flat_map(|(_, points)| points).fold(1.0f64, |most, (x, _)| most.max(*x));
    lines_plot(lines, (most, 1.0), ("milliseconds", "share of events"), false)
}

/// Lines over two axes that begin at zero. `is_guided`: whether the diagonal stands behind them.
fn lines_plot(
    lines: &[(String, Vec<(f64, f64)>)],
    (x_most, y_most): (f64, f64),
    (x_name, y_name): (&str, &str),
    is_guided: bool,
) -> String {
    let (left, bottom, width, height) = (50.0, 300.0, 820.0, 280.0);
    let place = |x: f64, y: f64| (left + x / x_most * width, bottom - y / y_most * height);
    let mut svg = String::from("<svg viewBox=\"0 0 960 340\" role=\"img\">\n");
    let (end_x, end_y) = place(x_most, y_most);
    let _ = writeln!(
        svg,
        "<path d=\"M{left} {end_y} V{bottom} H{end_x}\" fill=\"none\" stroke=\"#b8c4ce\"/>\
         <text x=\"{end_x}\" y=\"{}\" font-size=\"12\" text-anchor=\"end\">{x_name}</text>\
         <text x=\"{left}\" y=\"12\" font-size=\"12\">{y_name}</text>",
        bottom + 32.0
    );
    if is_guided {
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {bottom} L{end_x} {end_y}\" stroke=\"#b8c4ce\" stroke-dasharray=\"4 4\"/>"
        );
    }
    for tick in 1..=(x_most as usize).min(16) {
        let (x, _) = place(tick as f64, 0.0);
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" font-size=\"11\" text-anchor=\"middle\">{tick}</text>",
            bottom + 16.0
        );
    }
    for (index, (name, points)) in lines.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let path: Vec<String> = points
            .iter()
            .map(|&(x, y)| {
                let (x, y) = place(x, y);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>",
            path.join(" ")
        );
        if let Some(&(x, y)) = points.last() {
            let (x, y) = place(x, y);
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{y:.1}\" font-size=\"10\" fill=\"{color}\">{}</text>",
                x + 4.0,
                escape(name)
            );
        }
    }
    svg + "</svg>"
}
