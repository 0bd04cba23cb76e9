// Command scalars writes scalars.json: what sigs.k8s.io/yaml makes of unquoted scalars, as values and as keys.
//
// Run it with `go run scalars.go > scalars.json` where a go.mod requires sigs.k8s.io/yaml; the answers are v1.6.0's.
package main

import (
	"encoding/json"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

const texts = `
y
Y
yes
Yes
YES
yEs
n
N
no
NO
on
On
ON
off
Off
OFF
true
True
TRUE
tRue
false
null
Null
NULL
nUll
~
.nan
.NaN
.inf
-.inf
+.inf
+.Inf
.Infinity
inf
0
00
012
09
0o14
0O14
0x1F
0X1f
-0x1F
0b101
-0b11
+0b1
0b12
0b-1
0b+1
0x
0xZ
1_000
1__0
0_7
_1
-_1
+_
1e3
1E3
1e+3
1e-3
1.e3
1.
.5
-.5
+.5
.5_0
.5e1_0
._5
.5_
.e3
1e400
-1e400
.5e400
1e-400
9223372036854775807
9223372036854775808
18446744073709551615
18446744073709551616
-9223372036854775808
-9223372036854775809
+9223372036854775808
0777777777777777777777777
0xFFFFFFFFFFFFFFFF
2001-01-01
2001-1-1T1:2:3Z
12:30:45
1:30
190:20:30
1.5e7
123456789.5
1e7
1e6
123456
1234567
0.0001
0.00001
3.14159265358979
-0
+0
-0.0
0.0
1.10
=
0x1p3
1e
1e+
0e0
00.5
0o-7
1.2.3
10Gi
100m
1,000
v1
0.0.0.0:9638
Yes!
é
١٢
`

type answer struct {
	Text  string          `json:"text"`
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
	Key   string          `json:"key,omitempty"`
}

func main() {
	var lines []string
	for _, text := range strings.Fields(texts) {
		line, err := json.Marshal(ask(text))
		if err != nil {
			panic(err)
		}
		lines = append(lines, string(line))
	}
	os.Stdout.WriteString("[\n" + strings.Join(lines, ",\n") + "\n]\n")
}

func ask(text string) answer {
	a := answer{Text: text}
	var read map[string]json.RawMessage
	if out, err := yaml.YAMLToJSON([]byte("a: " + text)); err != nil {
		a.Error = err.Error()
	} else if err := json.Unmarshal(out, &read); err != nil {
		panic(err)
	} else {
		a.Value = read["a"]
	}
	if out, err := yaml.YAMLToJSON([]byte(text + ": 1")); err == nil {
		var keys map[string]int
		if err := json.Unmarshal(out, &keys); err != nil {
			panic(err)
		}
		for key := range keys {
			a.Key = key
		}
	}
	return a
}
