package sim

import (
	"hash/fnv"
	"math"
	"strconv"
	"time"
)

// A wave is a reading that moves with the clock: the same at the same time,
// whoever asks, and in no ETag.
type wave struct {
	base, swing float64       // on and busy
	idle        float64       // with the system off
	period      time.Duration // of one swing
	places      int           // decimal places
}

// waves are the sensors of the chassis.
var waves = map[string]wave{
	"IntakeTemp":  {base: 23, swing: 1.5, idle: 21, period: 20 * time.Minute, places: 1},
	"ExhaustTemp": {base: 36, swing: 3, idle: 24, period: 9 * time.Minute, places: 1},
	"CPU1Temp":    {base: 58, swing: 9, idle: 26, period: 4 * time.Minute, places: 1},
	"CPU2Temp":    {base: 56, swing: 8, idle: 26, period: 5 * time.Minute, places: 1},
	"Fan1Speed":   {base: 45, swing: 10, idle: 0, period: 6 * time.Minute},
	"Fan2Speed":   {base: 45, swing: 10, idle: 0, period: 7 * time.Minute},
	"PS1Power":    {base: 180, swing: 40, idle: 9, period: 3 * time.Minute},
	"PS2Power":    {base: 170, swing: 40, idle: 9, period: 3 * time.Minute},
}

// reading is what a sensor shows now.
func (d *Device) reading(name string) float64 {
	if name == "TotalPower" {
		return d.reading("PS1Power") + d.reading("PS2Power")
	}
	w := waves[name]
	v := w.idle
	if d.powerState() == "On" {
		h := fnv.New32a()
		h.Write([]byte(d.cfg.Name + "/" + name))
		shift := float64(h.Sum32()) / math.MaxUint32
		turns := float64(d.cfg.clock().UnixMilli()%w.period.Milliseconds()) / float64(w.period.Milliseconds())
		v = w.base + w.swing*math.Sin(2*math.Pi*(turns+shift))
	}
	scale := math.Pow10(w.places)
	return math.Round(v*scale) / scale
}

const sensorsPath = chassisPath + "/Sensors"

// sensorOf are the resources that show one reading, and the member that does.
var sensorOf = map[string]struct {
	sensor string
	member []string
}{
	sensorsPath + "/IntakeTemp":              {"IntakeTemp", []string{"Reading"}},
	sensorsPath + "/ExhaustTemp":             {"ExhaustTemp", []string{"Reading"}},
	sensorsPath + "/CPU1Temp":                {"CPU1Temp", []string{"Reading"}},
	sensorsPath + "/CPU2Temp":                {"CPU2Temp", []string{"Reading"}},
	sensorsPath + "/Fan1Speed":               {"Fan1Speed", []string{"Reading"}},
	sensorsPath + "/Fan2Speed":               {"Fan2Speed", []string{"Reading"}},
	sensorsPath + "/PS1Power":                {"PS1Power", []string{"Reading"}},
	sensorsPath + "/PS2Power":                {"PS2Power", []string{"Reading"}},
	sensorsPath + "/TotalPower":              {"TotalPower", []string{"Reading"}},
	chassisPath + "/ThermalSubsystem/Fans/1": {"Fan1Speed", []string{"SpeedPercent", "Reading"}},
	chassisPath + "/ThermalSubsystem/Fans/2": {"Fan2Speed", []string{"SpeedPercent", "Reading"}},
}

func (d *Device) showEnvironment(body []byte) []byte {
	body = putValue(body, d.reading("IntakeTemp"), "TemperatureCelsius", "Reading")
	return putValue(body, d.reading("TotalPower"), "PowerWatts", "Reading")
}

func (d *Device) showThermal(body []byte) []byte {
	body = putValue(body, d.reading("IntakeTemp"), "TemperatureSummaryCelsius", "Intake", "Reading")
	body = putValue(body, d.reading("ExhaustTemp"), "TemperatureSummaryCelsius", "Exhaust", "Reading")
	for i, name := range []string{"IntakeTemp", "ExhaustTemp", "CPU1Temp", "CPU2Temp"} {
		body = putValue(body, d.reading(name), "TemperatureReadingsCelsius", strconv.Itoa(i), "Reading")
	}
	return body
}
