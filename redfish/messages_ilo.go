package redfish

// Messages of iLO's own registry (redfish-hpe, 2.5 and 5), in words of ours.
const (
	keyUnauthorizedLogin  = oemPrefix + "UnauthorizedLoginAttempt"
	keyLicenseKeyRequired = oemPrefix + "LicenseKeyRequired"
	keyTokenExpired       = oemPrefix + "TokenExpired"
)

var iloMessages = map[string]message{
	keyUnauthorizedLogin:                              {"The login was refused: the credentials are not good, or the account may not log in.", critical, "Log in with the credentials of an account that may."},
	keyLicenseKeyRequired:                             {"The operation needs a licence that is not installed.", warning, "Install a licence with the feature and try again."},
	keyTokenExpired:                                   {"The one-time passcode has expired.", warning, "Log in without a passcode to have a new one sent."},
	"iLO.LoginAttemptDelayed":                         {"Logins are delayed after failed attempts.", warning, "Wait, then try again."},
	"iLO.LoginAttemptDelayedSeconds":                  {"Logins are delayed for %1 seconds after failed attempts.", warning, "Wait, then try again."},
	"iLO.InvalidLicenseKey":                           {"The licence key is not valid.", warning, "Try again with a valid licence key."},
	"iLO.LicenseKeyDenied":                            {"The licence key was refused: %1.", warning, "Try again with another licence key."},
	"iLO.LicenseKeyNotSupported":                      {"The licence key is not for this device.", warning, "Try again with another licence key."},
	"iLO.CannotRemoveLicense":                         {"The licence cannot be removed.", warning, "None."},
	"iLO.DemoLicenseKeyPreviouslyInstalled":           {"A demonstration licence was installed before and cannot be again.", warning, "Install a licence that was bought."},
	"iLO.UserAlreadyExist":                            {"An account of that name exists.", warning, "Try again with another name."},
	"iLO.InvalidPasswordLength":                       {"The password must have %1 to %2 characters.", warning, "Try again with a password of such a length."},
	"iLO.InvalidPasswordComplexity":                   {"The password needs three of: capital letters, small letters, digits, other characters.", warning, "Try again with such a password."},
	"iLO.GeneratingCertificate":                       {"A certificate signing request is being made, which may take ten minutes.", ok, "Read the resource again later."},
	"iLO.ImportCertSuccessful":                        {"The certificate was imported.", ok, "None."},
	"iLO.ImportCertSuccessfuliLOResetinProgress":      {"The certificate was imported, and the manager restarts.", ok, "Log in again in a few minutes."},
	"iLO.ImportCertificateFailed":                     {"The certificate was not imported.", warning, "Check the certificate and try again."},
	"iLO.ResetRequired":                               {"The change takes effect after a restart of the manager.", warning, "Restart the manager."},
	"iLO.ResetInProgress":                             {"The manager restarts.", ok, "Wait until it has."},
	"iLO.SNTPConfigurationManagedByDHCPAndIsReadOnly": {"The time servers come from DHCP and cannot be set.", warning, "Turn the use of time servers from DHCP off first."},
	"iLO.PropertyValueIncompatible":                   {"The value of %1 does not go with that of another property.", warning, "Change the other property first."},
	"iLO.MailNotConfigured":                           {"The account has no mail address.", warning, "Enter one in the directory."},
	"iLO.UnsupportedOperation":                        {"The operation is not supported.", warning, "None."},
}
