// SPDX-License-Identifier: MIT

// render writes what `helm template RELEASE CHART --namespace NS -f VALUES...` would: a small stand-in, since Debian has no
// helm. The template language is Go's own, its functions those of sprig, as in helm; what helm adds to them is here.
//
//	render CHART [VALUES.yaml...]
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

const includeDepthMax = 100

// files is what templates see as .Files.
type files string

func (f files) Get(name string) string {
	data, err := os.ReadFile(filepath.Join(string(f), name))
	if err != nil {
		return "" // as helm does
	}
	return string(data)
}

func toYAML(value interface{}) string {
	data, err := yaml.Marshal(value)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(data), "\n")
}

func required(warning string, value interface{}) (interface{}, error) {
	if text, isText := value.(string); value == nil || (isText && text == "") {
		return nil, fmt.Errorf("%s", warning)
	}
	return value, nil
}

func functions(chart *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env") // helm takes these away
	delete(all, "expandenv")
	depth := 0
	all["include"] = func(name string, data interface{}) (string, error) {
		depth++
		defer func() { depth-- }()
		if depth > includeDepthMax {
			return "", fmt.Errorf("%s includes itself", name)
		}
		var out strings.Builder
		err := chart.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	all["toYaml"] = toYAML
	all["required"] = required
	all["fail"] = func(text string) (string, error) { return "", fmt.Errorf("%s", text) }
	// Without a cluster there is nothing to look up.
	all["lookup"] = func(_, _, _, _ string) map[string]interface{} { return map[string]interface{}{} }
	return all
}

func merge(into, from map[string]interface{}) {
	for key, value := range from {
		inner, isMap := value.(map[string]interface{})
		outer, wasMap := into[key].(map[string]interface{})
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			merge(outer, inner)
		default:
			into[key] = value
		}
	}
}

func load(path string) (map[string]interface{}, error) {
	values := map[string]interface{}{}
	data, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(data, &values)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

func allValues(chart string, more []string) (map[string]interface{}, error) {
	values, err := load(filepath.Join(chart, "values.yaml"))
	for _, path := range more {
		var over map[string]interface{}
		if err != nil {
			break
		}
		if over, err = load(path); err == nil {
			merge(values, over)
		}
	}
	return values, err
}

// Chart.yaml's keys begin with a small letter, the fields of .Chart with a capital one.
func chartObject(path string) (map[string]interface{}, error) {
	small, err := load(filepath.Join(path, "Chart.yaml"))
	chart := map[string]interface{}{}
	for key, value := range small {
		chart[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return chart, err
}

func render(path string, more []string) error {
	values, err := allValues(path, more)
	if err != nil {
		return err
	}
	chart, err := chartObject(path)
	if err != nil {
		return err
	}
	base := fmt.Sprint(chart["Name"], "/templates")
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	names, err := filepath.Glob(filepath.Join(path, "templates", "*"))
	if err != nil {
		return err
	}
	sort.Strings(names)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil {
			_, err = root.New(base + "/" + filepath.Base(name)).Parse(string(text))
		}
		if err != nil {
			return err
		}
	}
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		full := base + "/" + filepath.Base(name)
		data := map[string]interface{}{
			"Values": values, "Chart": chart, "Files": files(path),
			"Release":      map[string]interface{}{"Name": "market", "Namespace": "data", "Service": "Helm", "IsInstall": true, "Revision": 1},
			"Template":     map[string]interface{}{"Name": full, "BasePath": base},
			"Capabilities": map[string]interface{}{"KubeVersion": map[string]interface{}{"Version": "v1.32.4"}},
		}
		var out bytes.Buffer
		if err := root.ExecuteTemplate(&out, full, data); err != nil {
			return err
		}
		if text := strings.ReplaceAll(out.String(), "<no value>", ""); strings.TrimSpace(text) != "" && strings.HasSuffix(name, ".yaml") {
			fmt.Printf("---\n# Source: %s\n%s\n", full, text)
		}
	}
	return nil
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: render CHART [VALUES.yaml...]")
		os.Exit(2)
	}
	if err := render(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}
