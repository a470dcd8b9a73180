package fuzz

// Trials are those of this package.
func Trials() []Trial {
	return []Trial{
		modelTrial(), diskTrial(),
		scriptTrial(), manyTrial(), garbageTrial(), packTrial(), randomCrashTrial(), mergeCrashTrial(), freezeCrashTrial(), backgroundCrashTrial(),
		faultTrial(), readFaultTrial(),
		deleteTrial(), deleteCrashTrial(), deleteFaultTrial(),
		crowdTrial(), deletersTrial(),
	}
}
