# SPDX-License-Identifier: MIT
#
# Prints the results of the runtime benchmark. First input: figures.tsv. Second: one result a line,
# peer<TAB>row<TAB>value<TAB>unit<TAB>note. Of several rounds the median counts, of several variants of a
# row ("name@variant") the best median. -v peers="sluice go ..." gives the columns, -v absent=" go: not installed;"
# those that cannot be run. The value "failed" stands for a program that ended badly.

function median(list, count,    i, j, swap, parts) {
    split(list, parts, " ")
    for (i = 2; i <= count; i++) {
        for (j = i; j > 1 && parts[j - 1] + 0 > parts[j] + 0; j--) {
            swap = parts[j]; parts[j] = parts[j - 1]; parts[j - 1] = swap
        }
    }
    return count % 2 ? parts[(count + 1) / 2] : (parts[count / 2] + parts[count / 2 + 1]) / 2
}

# The unit a row is shown in; everything arrives in ns and bytes.
function shown(value, unit) {
    return unit == "KiB" ? value / 1024 : value
}

function number(value, unit) {
    return sprintf(unit == "KiB" || value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value)
}

# Puts the best variant of each row into best[peer, row].
function settle(    key, parts, name, value) {
    for (key in values) {
        split(key, parts, SUBSEP)
        name = parts[2]
        sub(/@.*/, "", name)
        value = median(values[key], counts[key])
        if (!((parts[1], name) in best) || value < best[parts[1], name]) {
            best[parts[1], name] = value
            chosen[parts[1], name] = parts[2]
        }
    }
}

function cell(peer, row, unit) {
    if ((peer, row) in best) {
        return number(shown(best[peer, row], unit), unit)
    }
    if (index(absent, " " peer ": not installed")) {
        return "not installed"
    }
    if (index(absent, " " peer ":") || (peer, row_figure[row]) in failed) {
        return "not run"
    }
    return "n/a"
}

# "" when every part of the target is met, else "missed"; "?" when it cannot be told.
function verdict(target, row, unit,    parts, count, i, value, part, result) {
    if (target == "-") {
        return ""
    }
    if (!(("sluice", row) in best)) {
        return "?"
    }
    value = shown(best["sluice", row], unit)
    count = split(target, parts, ", ")
    result = "met"
    for (i = 1; i <= count; i++) {
        part = parts[i]
        if (part == "< Go") {
            if (!(("go", row) in best)) {
                result = result == "met" ? "?" : result
            } else if (value >= shown(best["go", row], unit)) {
                result = "missed"
            }
        } else if (value > substr(part, 4) + 0) {
            result = "missed"
        }
    }
    return result
}

function print_table(    i, p, line, ratio) {
    line = sprintf("%-43s %-4s", "figure", "unit")
    for (p = 1; p <= peer_count; p++) {
        line = line sprintf(" %13s", titles[peer[p]])
    }
    print line sprintf(" %10s  %-14s", "Sluice/Go", "target")
    gsub(/./, "-", line)
    print line "-------"
    for (i = 1; i <= row_count; i++) {
        if (!wanted[rows[i]]) {
            continue
        }
        line = sprintf("%-43s %-4s", row_title[i], row_unit[i])
        for (p = 1; p <= peer_count; p++) {
            line = line sprintf(" %13s", cell(peer[p], rows[i], row_unit[i]))
        }
        ratio = "-"
        if ((("sluice", rows[i]) in best) && (("go", rows[i]) in best) && best["go", rows[i]] > 0) {
            ratio = sprintf("%.2f", best["sluice", rows[i]] / best["go", rows[i]])
        }
        line = line sprintf(" %10s  %-14s %s", ratio, row_target[i], verdict(row_target[i], rows[i], row_unit[i]))
        sub(/ +$/, "", line)
        print line
    }
}

function note_of(peer, row,    variant, text) {
    if ((peer, row) in excused) {
        return "n/a, " excused[peer, row]
    }
    variant = chosen[peer, row]
    text = notes[peer, variant]
    sub(/^[^@]*@?/, "", variant)
    sub(/^P/, "best with GOMAXPROCS=", variant)
    return text (text != "" && variant != "" ? ", " : "") variant
}

function print_notes(    i, p, text, line) {
    print "\nHow it was done:"
    for (i = 1; i <= row_count; i++) {
        line = ""
        for (p = 1; p <= peer_count; p++) {
            text = note_of(peer[p], rows[i])
            if (text != "") {
                line = line (line == "" ? "" : "; ") titles[peer[p]] ": " text
            }
        }
        if (line != "") {
            print "  " row_title[i] " -- " line
        }
    }
}

# Cost of one among n, for rows linear.PART.n of Sluice, and how it grows.
function print_linear(    i, n, sizes, size_count, line, first, last, value) {
    if (linear_count == 0) {
        return
    }
    size_count = split("1000 10000 100000 1000000", sizes, " ")
    printf "\n%-43s %-4s %10s %10s %10s %10s %10s\n", "Sluice: cost of one among n, cold stacks", "unit", "1 000", "10 000", \
        "100 000", "1 000 000", "last/first"
    for (i = 1; i <= linear_count; i++) {
        first = last = ""
        line = sprintf("%-43s %-4s", linear_title[linear[i]], "ns")
        for (n = 1; n <= size_count; n++) {
            if (!(("sluice", "linear." linear[i] "." sizes[n]) in best)) {
                line = line sprintf(" %10s", "-")
                continue
            }
            value = best["sluice", "linear." linear[i] "." sizes[n]]
            line = line sprintf(" %10s", number(value, "ns"))
            first = first == "" ? value : first
            last = value
        }
        print line sprintf(" %10.2f", first > 0 ? last / first : 0)
    }
    print "Aim: within 1.5 a task from 1 000 to 1 000 000. What goes through the timer heap is O(log n) by design; a"
    print "thousand tasks fit into the processor's caches and a million do not, which the warm phases show."
}

BEGIN {
    FS = "\t"
    peer_count = split(peers, peer, " ")
    titles["sluice"] = "Sluice"; titles["go"] = "Go"; titles["asyncio"] = "asyncio"; titles["trio"] = "Trio"
    titles["uv"] = "libuv"
    linear_title["spawn_join"] = "spawn + join"
    linear_title["start"] = "start of a sleeper"
    linear_title["cancel_join"] = "cancel + join of a sleeper"
    linear_title["run"] = "a whole run: start, cancel, join, end"
    linear_title["sleep"] = "go to sleep"
    linear_title["wake_join"] = "wake + join"
    linear_title["insert"] = "deadline: insert"
    linear_title["expire"] = "deadline: expire"
    linear_title["deadline_update"] = "deadline: update"
}

/^#/ { next }

FNR == NR {
    row_count++
    rows[row_count] = $2
    row_figure[$2] = $1
    row_unit[row_count] = $3
    row_target[row_count] = $4
    row_title[row_count] = $5
    next
}

$3 == "failed" {
    failed[$1, $2] = 1
    next
}

{
    name = $2
    sub(/@.*/, "", name)
    wanted[name] = 1
    if (name ~ /^linear\./) {
        split(name, parts, ".")
        if (!(parts[2] in linear_seen)) {
            linear_seen[parts[2]] = 1
            linear[++linear_count] = parts[2]
        }
    }
    if ($3 == "n/a") {
        excused[$1, name] = $5
        next
    }
    counts[$1, $2]++
    values[$1, $2] = values[$1, $2] " " $3
    if ($5 != "") {
        notes[$1, $2] = $5
    }
}

END {
    settle()
    print_table()
    print_linear()
    print_notes()
}
